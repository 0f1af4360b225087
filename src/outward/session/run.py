"""Opens what a session needs, in order, and closes it in the other."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import uvloop

from outward.audit import Journal
from outward.cage import Cage, Command
from outward.credentials import CredentialStore
from outward.gateway import Gateway, ProxyFront
from outward.isolation import seccomp
from outward.pki import Authority
from outward.session.preparation import Preparation, prepare
from outward.session.supervisor import Supervisor
from outward.session.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.gateway import Summary
    from outward.session.options import Options


class Outcome(NamedTuple):
    """How it went: the exit status, the session's name in the journal, and what the gateway has counted."""

    status: int
    session: str
    summary: Summary


class Parts(NamedTuple):
    """What is open before the cage is."""

    store: CredentialStore
    authority: Authority
    preparation: Preparation


def new_session() -> str:
    """A session's name: sorts by time, and cannot be guessed."""
    return f"{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(4)}"


def assemble(options: Options) -> Parts:
    """Everything up to the point where something would be started. See :func:`outward.session.prepare` for errors."""
    store = CredentialStore(options.policy.secrets, environment=options.environment)
    authority = Authority.open(options.state / "pki")
    return Parts(store, authority, prepare(options, authority, store.exposed()))


def run(options: Options, note: Callable[[str], None]) -> Outcome:
    """Runs the command to its end. ``note`` gets lines for the person. Raises :class:`OutwardError` if it never started."""
    session = new_session()
    parts = assemble(options)
    for line in parts.preparation.notes:
        note(line)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal.open(options.state / "journal", session=session))
        terminal = Terminal(0, 1) if options.terminal else None
        status, theirs = os.pipe()
        stack.callback(os.close, status)
        # Forks: before the event loop, and from the thread that stays until the end.
        cage = stack.enter_context(Cage.open(_command(parts.preparation, terminal, theirs, stack)))
        os.close(theirs)
        if terminal is not None:
            terminal.handed_over()
            stack.enter_context(terminal)
        gateway = Gateway(policy=options.policy, store=parts.store, authority=parts.authority, journal=journal)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(_serve(gateway, cage, status, terminal, options))
    return Outcome(code, session, gateway.summary)


async def _serve(gateway: Gateway, cage: Cage, status: int, terminal: Terminal | None, options: Options) -> int:
    async with gateway:
        for listener in cage.listeners:
            gateway.listen_on(listener, ProxyFront(options.agent))
        resize = terminal.resize if terminal is not None else None
        with Supervisor(cage, status, timeout=options.timeout, resize=resize) as supervisor:
            if terminal is not None:
                terminal.connect()
            cage.release()
            code = await supervisor.wait()
        if terminal is not None:
            terminal.drain()
    return code


def _command(preparation: Preparation, terminal: Terminal | None, status: int, stack: ExitStack) -> Command:
    tool = preparation.bubblewrap
    filter_ = _memory_file("seccomp", seccomp.program(), stack)
    text = tool.arguments(preparation.launch, seccomp=filter_, status=status)
    arguments = _memory_file("arguments", text, stack)
    inner = terminal.inner if terminal is not None else None
    return Command(
        argv=tool.argv(preparation.launch, arguments),
        stdio=(0, 1, 2) if inner is None else (inner, inner, inner if os.isatty(2) else 2),
        inherit=(filter_, arguments, status),
    )


def _memory_file(name: str, content: bytes, stack: ExitStack) -> int:
    """A descriptor to read ``content`` from."""
    descriptor = os.memfd_create(name)
    stack.callback(os.close, descriptor)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
