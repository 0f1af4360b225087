"""Opens what a session needs, in order, and closes it in the other."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

from outward.audit import Journal, new_session
from outward.cage import Cage, Command
from outward.core import HostError
from outward.core.summary import Summary
from outward.credentials import CredentialStore
from outward.isolation import seccomp
from outward.isolation.bubblewrap import probe
from outward.pki import Authority
from outward.session.loading import load_gateway
from outward.session.preparation import Preparation, prepare
from outward.session.report import Report
from outward.session.signals import held

LAYERS: Final = "layers"
"""The directory below the state directory in which changes wait for review."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.session.options import Options
    from outward.session.terminal import Terminal
    from outward.workspace.layer import Layer


class Outcome(NamedTuple):
    """How it went: the exit status, the session's name in the journal, what the gateway has counted, and whether changes
    wait for review."""

    status: int
    session: str
    summary: Summary
    changed: bool


class Parts(NamedTuple):
    """What is there before anything is started."""

    store: CredentialStore
    authority: Authority
    preparation: Preparation


def assemble(options: Options) -> Parts:
    """Everything up to the point where something would be started. See :func:`~outward.session.preparation.prepare`."""
    store = CredentialStore(options.policy.secrets, environment=options.environment, caller=options.proxies)
    authority = Authority.open(options.state / "pki")
    return Parts(store, authority, prepare(options, authority, store.exposed()))


def run(options: Options, note: Callable[[str], None]) -> Outcome:
    """Runs the command to its end. ``note`` gets lines for the person.

    Raises :class:`~outward.core.HostError` if it could not be started; :class:`CommandUnavailable` if it is not there.
    """
    session = new_session()
    parts = assemble(options)
    for shortfall in parts.preparation.holding.shortfalls:
        note(str(shortfall))
    with ExitStack() as stack:
        stack.enter_context(held())
        journal = stack.enter_context(Journal.open(options.state / "journal", session=session))
        terminal = _terminal(options, stack)
        status, theirs = os.pipe()
        stack.callback(os.close, status)
        hold = stack.enter_context(parts.preparation.holding.open())
        layer = _layer(options, parts.preparation, session, stack)
        command = _command(parts.preparation, terminal, theirs, stack)
        if layer is not None:
            command = command._replace(prepare=layer.mount)
        # Forks: before there is an event loop, and from the thread that stays until the end.
        cage = stack.enter_context(Cage.open(command))
        os.close(theirs)
        hold(cage.pid)
        cage.release()

        # A terminal has to be served, whatever the command does.
        if load_gateway(cage) or terminal is not None:
            from outward.session.serving import serve  # here: see load_gateway

            code, summary = serve(options, parts, journal, cage, status, terminal)
        else:
            code, summary = _over(cage, status), Summary()
        changed = layer is not None and not layer.empty
    if code is None:
        probe(parts.preparation.bubblewrap)
        raise HostError(
            "the sandbox could not be built, so nothing was run",
            hint="bubblewrap's message is above; `outward run --dry-run` shows the steps.",
        )
    return Outcome(code, session, summary, changed)


def _over(cage: Cage, status: int) -> int | None:
    """The exit status of a command that has ended; nothing where it was never started."""
    cage.wait()
    report = Report(status)
    report.read()
    return report.exit_status


def _layer(options: Options, preparation: Preparation, session: str, stack: ExitStack) -> Layer | None:
    """Where the changes of a session in review mode go. Without any, it is gone at the end."""
    if preparation.masked is None:
        return None
    from outward.workspace.layer import create  # here, as below: other modes have no need of it

    workspace = preparation.launch.directory
    layer = create(options.state / LAYERS, session, workspace, options.agent, options.command, preparation.masked)
    stack.callback(lambda: layer.empty and layer.discard())
    stack.enter_context(layer.locked())
    return layer


def _terminal(options: Options, stack: ExitStack) -> Terminal | None:
    if not options.terminal:
        return None
    from outward.session.terminal import Terminal  # most sessions of a CI have none

    return stack.enter_context(Terminal(0, 1))


def _command(preparation: Preparation, terminal: Terminal | None, status: int, stack: ExitStack) -> Command:
    tool = preparation.bubblewrap
    held: list[int] = []

    def hold(content: bytes) -> int:
        held.append(_memory_file(content, stack))
        return held[-1]

    text = tool.arguments(
        preparation.launch, seccomp=hold(seccomp.program(preparation.launch.seccomp)), status=status, hold=hold
    )
    arguments = hold(text)
    inner = terminal.inner if terminal is not None else None
    return Command(
        argv=tool.argv(preparation.launch, arguments),
        stdio=(0, 1, 2) if inner is None else (inner, inner, inner if os.isatty(2) else 2),
        inherit=(*held, status),
    )


def _memory_file(content: bytes, stack: ExitStack) -> int:
    """A descriptor to read ``content`` from."""
    descriptor = os.memfd_create("outward")
    stack.callback(os.close, descriptor)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
