"""``outward check``: the verdict, without sending anything."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

import click

from outward.cli.declaring import json_option, policy_option
from outward.cli.policy_file import find_policy, load_policy
from outward.cli.saying import say
from outward.core import (
    Action,
    ClientError,
    Code,
    Request,
    Verdict,
    canonical_authority,
    canonical_path,
    canonical_query,
)
from outward.credentials.injector import CLIENT_CREDENTIALS
from outward.policy.explain import explain

if TYPE_CHECKING:
    from pathlib import Path

EXIT_STATUS: Final = {Action.ALLOW: 0, Action.DENY: 3, Action.ASK: 4}
_DEFAULT_PORT: Final = {"https": 443, "http": 80}
_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@click.command("check")
@policy_option
@click.option("--agent", metavar="NAME", default="default", show_default=True, help="Who would send it.")
@json_option
@click.argument("method")
@click.argument("url")
def command(policy_file: Path | None, agent: str, as_json: bool, method: str, url: str) -> int:
    """Say what the policy decides about a request, and which rule, without sending it.

    Exit status: 0 allow, 3 deny, 4 ask.

    \b
      outward check POST https://api.github.com/gists
    """
    parts = _split(url)
    policy = load_policy(policy_file)
    request, detail = None, ""
    try:
        request = _request(agent, method, url, parts)
        verdict = policy.decide(request)
    except ClientError as error:
        verdict, detail = Verdict(Action.DENY, code=Code.MALFORMED_REQUEST), error.message
    explanation = explain(verdict, request, CLIENT_CREDENTIALS)
    if as_json:
        click.echo(json.dumps({"method": method, "url": url, **explanation.document(), "detail": detail or None}))
        return EXIT_STATUS[verdict.action]
    for warning in policy.warnings:
        say(warning)
    if find_policy(policy_file) is None:
        say("there is no policy file, so nothing is allowed (outward init writes one)")
    click.echo(explanation.sentence)
    for label, text in {
        "because": detail,
        "destination": explanation.destination,
        "injects": ", ".join(explanation.injects),
        "removes what the client sends in": ", ".join(explanation.removes),
        "captures": ", ".join(explanation.captures),
        "to allow it": explanation.hint,
    }.items():
        if text:
            click.echo(f"  {label}: {text}")
    return EXIT_STATUS[verdict.action]


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise click.BadParameter(f"{url!r} is not a URL: {error}", param_hint="URL") from None
    if parts.scheme not in _DEFAULT_PORT or not parts.netloc:
        raise click.BadParameter(f"{url!r} is not a URL such as https://api.example.com/path", param_hint="URL")
    return parts


def _request(agent: str, method: str, url: str, parts: SplitResult) -> Request:
    """The request as the gateway would see it. Raises :class:`ClientError` where it would answer 400."""
    if not url.isprintable():
        raise ClientError("the URL holds a control character")  # urlsplit would drop some of them
    if not _METHOD.fullmatch(method):
        raise ClientError(f"{method!r} is not a method")
    host, port = canonical_authority(parts.netloc, _DEFAULT_PORT[parts.scheme])
    path, folded = canonical_path(parts.path.encode("utf-8", "surrogateescape").decode("latin-1") or "/")
    return Request(agent, method, parts.scheme, host, port, path, folded, canonical_query(parts.query))
