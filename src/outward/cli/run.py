"""``outward run``: a command in the sandbox, whose only way out is the gateway."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Final

import click

from outward.agents import PROFILES, profile_of
from outward.cli.home import state_directory
from outward.cli.policy_file import load_policy
from outward.cli.proxies import announcement, caller_proxies
from outward.cli.summary import aside_lines, closing_lines, printable
from outward.core import HostError
from outward.session import CommandUnavailable, Options, assemble, run

BACKENDS: Final = ("bubblewrap", "docker", "podman", "gvisor", "microvm", "none")
MODES: Final = ("write", "read", "review")

_KILLED: Final = 128 + signal.SIGKILL

_AGENT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd]?)")
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _agent(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _AGENT_NAME.fullmatch(value):
        raise click.BadParameter("a name has letters, digits, - and _")
    return value


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    if (match := _DURATION.fullmatch(value)) is None or int(match[1]) == 0:
        raise click.BadParameter(f"{value!r} is not a time like 90s, 15m or 2h")
    return float(int(match[1]) * _UNITS[match[2]])


@click.command("run", context_settings={"allow_interspersed_args": False}, options_metavar="[OPTIONS] [--]")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path, dir_okay=False), help="The policy file.")
@click.option("--backend", type=click.Choice(BACKENDS), help="What confines the processes; otherwise the policy says.")
@click.option("--image", metavar="NAME", help="docker, podman: an image's programs in place of this machine's.")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="The directory to work in; otherwise this one.",
)
@click.option("--mode", type=click.Choice(MODES), help="What may happen to its files; otherwise the policy says.")
@click.option("--agent", metavar="NAME", callback=_agent, help="Who it is, in the policy and the journal.")
@click.option("--timeout", metavar="T", callback=_seconds, help="End the command after T (90s, 15m, 2h): status 124.")
@click.option("--strict", is_flag=True, help="Start nothing where a limit of the policy cannot be enforced.")
@click.option("--i-understand-there-is-no-sandbox", is_flag=True, help="With --backend none: a plain process.")
@click.option("--debug", is_flag=True, help="Say on standard error what goes through; never a secret.")
@click.option("--quiet", is_flag=True, help="No summary at the end.")
@click.option("--dry-run", is_flag=True, help="Print the steps, in order, and start nothing.")
@click.argument("words", metavar="CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    policy_file: Path | None,
    backend: str | None,
    image: str | None,
    workspace: Path,
    mode: str | None,
    agent: str | None,
    timeout: float | None,
    strict: bool,
    i_understand_there_is_no_sandbox: bool,
    debug: bool,
    quiet: bool,
    dry_run: bool,
    words: tuple[str, ...],
) -> int:
    """Run a command in the sandbox; its only way out is the gateway.

    The exit status is the command's (128+N for signal N); 125 when the sandbox could not be set up, 126 and 127 when the
    command cannot be executed or found inside.

    \b
      outward run claude
      outward run --policy ci.yaml --mode read --timeout 15m -- npm test
    """
    profile = PROFILES.get(agent or "") or profile_of(words[0])
    policy = load_policy(policy_file, agent_preset=profile.preset, workspace=workspace.absolute())
    if not policy.destinations:
        _say("the policy allows nothing: every request will be refused")
    for warning in policy.warnings:
        _say(warning)
    proxies = caller_proxies(os.environ)
    if line := announcement(proxies, policy):
        _say(line)
    _require_sandbox(backend, policy.sandbox.backend, understood=i_understand_there_is_no_sandbox)
    if not dry_run and any(spec.source in {"keyring", "oauth"} for spec in policy.secrets.values()):
        from outward.cli.asking import unlock_for  # here: few policies have such secrets, and starts must be quick

        unlock_for(policy, os.environ)
    home = Path.home()
    options = Options(
        command=words,
        policy=policy,
        profile=profile,
        agent=agent or profile.name,
        workspace=workspace.absolute(),
        mode=mode or policy.workspace.mode,
        state=state_directory(),
        config=home / ".config" / "outward",
        home=home,
        environment=dict(os.environ),
        proxies=proxies,
        timeout=min((limit for limit in (timeout, policy.sandbox.limits.time) if limit is not None), default=None),
        strict=strict,
        terminal=os.isatty(0) and os.isatty(1),
        backend=backend or policy.sandbox.backend,
        image=image,
        debug=debug,
    )
    try:
        if dry_run:
            for line in assemble(options).preparation.describe():
                click.echo(printable(line))
            return 0
        outcome = run(options, _say)
    except CommandUnavailable as error:
        _say(error.message)
        click.echo(f"  {error.hint}" if error.hint else "", err=True, nl=bool(error.hint))
        return error.status
    if outcome.status == _KILLED and policy.sandbox.limits.memory is not None:
        _say(
            "the command was killed (SIGKILL), as happens where memory reaches `sandbox: {limits: {memory: …}}` of the policy"
        )
    if not quiet:
        for line in closing_lines(outcome.summary, outcome.session):
            _say(line)
        for line in aside_lines(outcome.aside):
            _say(line)
        if outcome.changed:
            _say(f"changes were kept aside: outward review {outcome.session}")
    return outcome.status


def _require_sandbox(asked: str | None, policy: str, *, understood: bool) -> None:
    """No policy can turn the sandbox off: it takes both options, typed by the person."""
    if "none" not in (asked, policy if asked is None else asked):
        return
    if asked != "none" or not understood:
        raise HostError(
            "nothing runs without a sandbox",
            hint="Use another backend. `--backend none --i-understand-there-is-no-sandbox` runs a plain process.",
        )
    _say("THERE IS NO SANDBOX: the command can read your files and secrets, and reach any host past the gateway")


def _say(line: str) -> None:
    click.echo(f"outward: {line}", err=True)
