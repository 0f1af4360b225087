"""``outward serve``: a gateway for containers, dev containers and teams."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from outward.cli.home import state_directory
from outward.cli.policy_file import load_policy

if TYPE_CHECKING:
    from outward.policy import Policy
    from outward.server import Reverse


def _reverse(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Reverse, ...]:
    from outward.server import Reverse, parse_reverse

    pairs = []
    for value in values:
        address, equals, url = value.partition("=")
        if not equals:
            raise click.BadParameter(f"{value!r} is not ADDR=URL, for example 127.0.0.1:8081=https://api.example.com")
        parse_reverse(url)
        pairs.append(Reverse(address, url))
    return tuple(pairs)


@click.command("serve")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path, dir_okay=False), help="The policy file.")
@click.option("--listen", metavar="ADDR", multiple=True, help="Explicit proxy on host:port or unix:/path; repeatable.")
@click.option(
    "--reverse",
    metavar="ADDR=URL",
    multiple=True,
    callback=_reverse,
    help="Plain HTTP listener that stands for one server; for clients with a base URL setting. Repeatable.",
)
@click.option("--socks", metavar="ADDR", multiple=True, help="SOCKS5 on host:port or unix:/path; repeatable.")
@click.option("--agent", default="default", show_default=True, help="Whose requests these are, unless clients log in.")
def command(
    policy_file: Path | None,
    listen: tuple[str, ...],
    reverse: tuple[Reverse, ...],
    socks: tuple[str, ...],
    agent: str,
) -> None:
    """Run a gateway for containers, dev containers and teams.

    Prints one JSON line with the addresses when it accepts connections: those of --listen, of --reverse and of --socks, each
    in the order given. SIGHUP reads the policy again (all or nothing), SIGTERM lets requests in flight end.

    \b
      outward serve --listen 127.0.0.1:8080 &
      eval "$(outward env)"
      curl https://api.example.com/

    \b
      outward serve --reverse 127.0.0.1:8081=https://api.anthropic.com
      ANTHROPIC_BASE_URL=http://127.0.0.1:8081 claude

    \b
      outward serve --socks 127.0.0.1:1080
      curl --proxy socks5h://127.0.0.1:1080 https://api.example.com/
    """
    import uvloop

    from outward.audit import Journal, new_session
    from outward.pki import Authority
    from outward.server import Plan, Server

    if not (listen or reverse or socks):
        listen = ("127.0.0.1:0",)

    def load() -> Policy:
        return load_policy(policy_file)

    policy = load()
    for warning in policy.warnings:
        _report(warning)
    state = state_directory()
    session = new_session("serve-")
    announcement = state / "serve.json"
    with Journal.open(state / "journal", session=session) as journal:
        server = Server(
            policy=policy,
            environment=dict(os.environ),
            authority=Authority.open(state / "pki"),
            journal=journal,
            reload=load,
            report=_report,
        )

        def ready(line: str) -> None:
            proxies = json.loads(line)["listen"][: len(listen)]
            announcement.write_text(json.dumps({"proxies": proxies, "pid": os.getpid()}))
            click.echo(line)

        with contextlib.ExitStack() as stack:
            stack.callback(announcement.unlink, missing_ok=True)
            uvloop.run(server.run(Plan(agent, listen, reverse, socks), ready))


def _report(line: str) -> None:
    click.echo(f"outward: {line}", err=True)
