"""``outward serve``: a gateway for containers, dev containers and teams."""

from __future__ import annotations

import contextlib
import json
import os
import re
from functools import partial
from typing import TYPE_CHECKING

import click

from outward.cli.declaring import policy_option
from outward.cli.home import state_directory
from outward.cli.policy_file import gather_policy, load_policy
from outward.cli.proxies import announcement, caller_proxies
from outward.cli.saying import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from outward.core import CallerProxies
    from outward.policy import Policy
    from outward.server import Plan, Reverse


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


def _workers(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    if value == "auto":
        return len(os.sched_getaffinity(0))
    if not re.fullmatch(r"[1-9][0-9]{0,2}", value, re.ASCII):
        raise click.BadParameter(f"{value!r} is neither a number of processes from 1 to 999 nor `auto`")
    return int(value)


@click.command("serve")
@policy_option
@click.option("--listen", metavar="ADDR", multiple=True, help="Explicit proxy on host:port or unix:/path; repeatable.")
@click.option(
    "--reverse",
    metavar="ADDR=URL",
    multiple=True,
    callback=_reverse,
    help="Plain HTTP listener that stands for one server; for clients with a base URL setting. Repeatable.",
)
@click.option("--socks", metavar="ADDR", multiple=True, help="SOCKS5 on host:port or unix:/path; repeatable.")
@click.option(
    "--transparent",
    metavar="ADDR",
    multiple=True,
    help="For connections that a packet filter redirects to this host:port. Repeatable.",
)
@click.option(
    "--workers",
    metavar="N",
    default="1",
    show_default=True,
    callback=_workers,
    help="Processes that share the listeners; `auto`: one for each processor.",
)
@click.option("--debug", is_flag=True, help="Say on standard error what goes through; never a secret.")
@click.option("--agent", default="default", show_default=True, help="Whose requests these are, unless clients log in.")
def command(
    policy_file: Path | None,
    listen: tuple[str, ...],
    reverse: tuple[Reverse, ...],
    socks: tuple[str, ...],
    transparent: tuple[str, ...],
    workers: int,
    debug: bool,
    agent: str,
) -> int:
    """Run a gateway for containers, dev containers and teams.

    Prints one JSON line with the addresses when it accepts connections: those of --listen, --reverse, --socks and
    --transparent, each in the order given. SIGHUP reads the policy again (all or nothing), SIGTERM lets requests in flight end.

    One process uses one processor. With --workers each process fetches secrets for itself and writes a journal of its own;
    `outward log` merges them. Signals go to the process that was started; it replaces workers that die.

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
    from outward.cli.asking import unlock_for
    from outward.credentials.memory import conceal
    from outward.server import Plan
    from outward.server.descriptors import allow_descriptors

    if not (listen or reverse or socks or transparent):
        listen = ("127.0.0.1:0",)
    policy = load_policy(policy_file)
    for warning in policy.warnings:
        _report(warning)
    caller = caller_proxies(os.environ)
    if line := announcement(caller, policy):
        _report(line)
    conceal()  # workers inherit it
    allow_descriptors()  # likewise
    unlock_for(policy, os.environ)
    state = state_directory()
    running = state / "serve.json"
    serve = _alone if workers == 1 else partial(_supervised, workers)
    with contextlib.ExitStack() as stack:

        def ready(line: str) -> None:
            proxies = json.loads(line)["listen"][: len(listen)]
            running.write_text(json.dumps({"proxies": proxies, "pid": os.getpid()}))
            stack.callback(running.unlink, missing_ok=True)
            click.echo(line)

        tell = _report if debug else None
        plan = Plan(agent, listen, reverse, socks, transparent)
        return serve(policy_file, policy, caller, state, plan, tell, ready)


def _alone(
    policy_file: Path | None,
    policy: Policy,
    caller: CallerProxies,
    state: Path,
    plan: Plan,
    tell: Callable[[str], None] | None,
    ready: Callable[[str], None],
) -> int:
    import uvloop

    from outward.audit import Journal, new_session
    from outward.audit.telling import Telling
    from outward.pki import Authority
    from outward.server import Server

    with Journal.open(state / "journal", session=new_session("serve-")) as journal:
        server = Server(
            policy=policy,
            environment=dict(os.environ),
            caller=caller,
            authority=Authority.open(state / "pki"),
            journal=Telling(journal, tell) if tell is not None else journal,
            reload=lambda: load_policy(policy_file),
            report=_report,
        )
        uvloop.run(server.run(plan, ready))
    return 0


def _supervised(
    workers: int,
    policy_file: Path | None,
    policy: Policy,
    caller: CallerProxies,
    state: Path,
    plan: Plan,
    tell: Callable[[str], None] | None,
    ready: Callable[[str], None],
) -> int:
    from outward.audit import new_session
    from outward.pki import Authority
    from outward.server.supervisor import Supervisor
    from outward.server.worker import Ground

    authority = Authority.open(state / "pki")
    ground = Ground(dict(os.environ), caller, authority, state / "journal", new_session("serve-"), workers, tell)
    supervisor = Supervisor(ground, policy, gather=lambda: gather_policy(policy_file), report=_report)
    return supervisor.run(plan, ready)


def _report(line: str) -> None:
    # Nobody may be listening any more, or the disk be full: no reason to stop serving, or not to stop when told to.
    with contextlib.suppress(OSError):
        say(line)
