"""Opens what a session needs, in order, and closes it in the other."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from outward.audit import Journal, new_session
from outward.backends import Spec
from outward.cage import PLAIN_PORTS, Enclosure
from outward.core import HostError
from outward.core.records import NamedTuple
from outward.core.summary import Summary
from outward.credentials import CredentialStore
from outward.pki import Authority
from outward.session.loading import load_gateway
from outward.session.preparation import Preparation, choose, prepare
from outward.session.signals import held
from outward.workspace.guard import Guard
from outward.workspace.outside import Outside

GUARDS: Final = "guards"
"""The directory below the state directory that says what stands in for files that must not come into being."""

LAYERS: Final = "layers"
"""The directory below the state directory in which changes wait for review."""

_ASK_PROGRAMS: Final = frozenset({"azure", "bitwarden", "command", "kubernetes", "onepassword"})
"""Sources of secrets that may run programs."""

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outward.backends import Backend
    from outward.session.options import Options
    from outward.session.terminal import Terminal
    from outward.workspace.layer import Layer


_FEW_PORTS: Final = (
    f"this kernel has no packet filter (nf_tables): of programs that use no proxy, only connections to ports "
    f"{', '.join(map(str, PLAIN_PORTS))} are taken to the gateway; others are refused"
)


class Outcome(NamedTuple):
    """How it went: the exit status, the session's name in the journal, what the gateway has counted, whether changes wait
    for review, and what was set aside since it would take effect outside (paths, and under which name)."""

    status: int
    session: str
    summary: Summary
    changed: bool
    aside: Mapping[str, str]


class Parts(NamedTuple):
    """What is there before anything is started."""

    store: CredentialStore
    authority: Authority
    preparation: Preparation


def assemble(options: Options) -> Parts:
    """Everything up to the point where something would be started. See :func:`~outward.session.preparation.prepare`."""
    return _assemble(options, choose(options))


def _assemble(options: Options, backend: Backend) -> Parts:
    store = CredentialStore(options.policy.secrets, environment=_outside(options), caller=options.proxies)
    authority = Authority.open(options.state / "pki")
    return Parts(store, authority, prepare(options, backend, authority, store.exposed()))


def _outside(options: Options) -> Mapping[str, str]:
    """The caller's environment, whose programs get secrets: none that the agent can have written, such as in a ``.venv``."""
    if _ASK_PROGRAMS.isdisjoint(spec.source for spec in options.policy.secrets.values()):
        return options.environment
    written = (*options.policy.sandbox.write, *((options.workspace,) if options.mode == "write" else ()))
    path = Outside(written, options.home).search_path(options.environment.get("PATH", os.defpath))
    return {**options.environment, "PATH": path}


def run(options: Options, note: Callable[[str], None]) -> Outcome:
    """Runs the command to its end. ``note`` gets lines for the person.

    Raises :class:`~outward.core.HostError` if it could not be started; :class:`CommandUnavailable` if it is not there.
    """
    session = new_session()
    backend = choose(options)
    with ExitStack() as stack:
        with held():  # who makes it inherits that: it ends with us, and not by what is for us
            # It is being made while the rest is prepared.
            enclosure = stack.enter_context(Enclosure.open()) if backend.caged else None
        parts = _assemble(options, backend)
        for said in (*map(str, backend.shortfalls), *backend.warnings):
            note(said)
        _say_whose(options, note)
        stack.enter_context(held())
        journal = stack.enter_context(Journal.open(options.state / "journal", session=session))
        terminal = _terminal(options, stack)
        layer = _layer(options, parts.preparation, session, stack)
        # Both fork: before there is an event loop, and from the thread that stays until the end.
        guard = stack.enter_context(Guard(parts.preparation.guarded, options.state / GUARDS))
        spec = Spec(parts.preparation.launch, session, _stdio(terminal), layer, enclosure=enclosure)
        sandbox = stack.enter_context(backend.launch(spec))
        guard.watch(sandbox)
        from outward.workspace.keeper import Keeper  # here: it is only now that there is something to keep

        keeper = stack.enter_context(Keeper(parts.preparation.kept, sandbox, layer.directory if layer else None))
        if not sandbox.sockets.take_every_port:
            note(_FEW_PORTS)

        # A terminal has to be served, whatever the command does.
        if terminal is not None or load_gateway(sandbox):
            from outward.audit.telling import Telling  # here: see load_gateway
            from outward.session.serving import serve

            recorder = Telling(journal, note) if options.debug else journal
            code, summary = serve(options, parts, recorder, sandbox, terminal, keeper.process)
        else:
            code, summary = sandbox.wait(), Summary()
        changed = layer is not None and not layer.empty
    if keeper.trouble:
        note(keeper.trouble.rstrip())
    if code is None:
        backend.probe()
        raise HostError(
            "the sandbox could not be built, so nothing was run",
            hint=f"The message of {backend.name} is above; `outward run --dry-run` shows the steps.",
        )
    return Outcome(code, session, summary, changed, guard.aside)


def _say_whose(options: Options, note: Callable[[str], None]) -> None:
    """Says it where the workspace is another user's, above all a person's in which root was asked to start something."""
    owner = options.workspace.stat().st_uid
    if options.mode != "read" and owner != os.geteuid():
        note(
            f"{options.workspace} belongs to another user ({owner}): the agent can change only what everybody may, "
            f"and what it makes is yours; better run it as that user"
        )


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


def _stdio(terminal: Terminal | None) -> tuple[int, int, int]:
    if terminal is None:
        return (0, 1, 2)
    return (terminal.inner, terminal.inner, terminal.inner if os.isatty(2) else 2)
