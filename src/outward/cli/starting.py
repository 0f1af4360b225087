"""What ``outward run`` does, once its words are read."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.agents import PROFILES, profile_of
from outward.cli.home import state_directory
from outward.cli.policy_file import load_policy
from outward.cli.proxies import announcement, caller_proxies
from outward.cli.saying import say, say_error
from outward.cli.summary import aside_lines, closing_lines
from outward.core import HostError
from outward.core.display import printable
from outward.session import CommandUnavailable, Options, assemble, run

if TYPE_CHECKING:
    from outward.cli.arguments import Arguments

_KILLED: Final = 128 + signal.SIGKILL


def start(arguments: Arguments) -> int:
    """Runs the command to its end, and gives the exit status; what a person should know goes to standard error.

    Raises :class:`~outward.core.OutwardError` where nothing could be started.
    """
    workspace = arguments.workspace.absolute()
    profile = PROFILES.get(arguments.agent or "") or profile_of(arguments.words[0])
    policy = load_policy(arguments.policy_file, agent_preset=profile.preset, workspace=workspace)
    if not policy.destinations:
        say("the policy allows nothing: every request will be refused")
    for warning in policy.warnings:
        say(warning)
    proxies = caller_proxies(os.environ)
    if line := announcement(proxies, policy):
        say(line)
    _require_sandbox(arguments.backend, policy.sandbox.backend, understood=arguments.i_understand_there_is_no_sandbox)
    if not arguments.dry_run and any(spec.source in {"keyring", "oauth"} for spec in policy.secrets.values()):
        from outward.cli.asking import unlock_for  # here: few policies have such secrets, and starts must be quick

        unlock_for(policy, os.environ)
    home = Path.home()
    options = Options(
        command=arguments.words,
        policy=policy,
        profile=profile,
        agent=arguments.agent or profile.name,
        workspace=workspace,
        mode=arguments.mode or policy.workspace.mode,
        state=state_directory(),
        config=home / ".config" / "outward",
        home=home,
        environment=dict(os.environ),
        proxies=proxies,
        timeout=min(
            (limit for limit in (arguments.timeout, policy.sandbox.limits.time) if limit is not None), default=None
        ),
        strict=arguments.strict,
        terminal=os.isatty(0) and os.isatty(1),
        backend=arguments.backend or policy.sandbox.backend,
        image=arguments.image,
        runtime=arguments.runtime,
        debug=arguments.debug,
    )
    try:
        if arguments.dry_run:
            for line in assemble(options).preparation.describe():
                print(printable(line))
            return 0
        outcome = run(options, say)
    except CommandUnavailable as error:
        say_error(error)
        return error.status
    if outcome.status == _KILLED and policy.sandbox.limits.memory is not None:
        say(
            "the command was killed (SIGKILL), as happens where memory reaches `sandbox: {limits: {memory: …}}` of the policy"
        )
    if not arguments.quiet:
        for line in closing_lines(outcome.summary, outcome.session):
            say(line)
        for line in aside_lines(outcome.aside):
            say(line)
        if outcome.changed:
            say(f"changes were kept aside: outward review {outcome.session}")
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
    say("THERE IS NO SANDBOX: the command can read your files and secrets, and reach any host past the gateway")
