"""Decides everything before anything is started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from outward.agents import Seeding, bring_along, home_of, managed_files, plant
from outward.backends import Place, find
from outward.core import HostError
from outward.core.records import NamedTuple
from outward.credentials.local.place import opening_files
from outward.isolation import system
from outward.isolation.launch import Launch
from outward.isolation.operations import Absent, Bind, File, Hide, Layered, Symlink
from outward.pki import trust_files
from outward.session import environment
from outward.workspace import Kept, Masked, Root, Wanted, plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from outward.backends import Backend
    from outward.core import Limits
    from outward.isolation.operations import Operation
    from outward.pki import Authority
    from outward.session.options import Options
    from outward.workspace import Guarded, View

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126


class CommandUnavailable(HostError):
    """The command cannot be started inside. ``status`` is what a shell would end with."""

    def __init__(self, message: str, status: int, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Preparation(NamedTuple):
    """All that a session needs to start. ``masked`` is there in review mode: what a layer over the workspace leaves out.
    ``guarded`` is what must not come into being, ``kept`` what stays hidden and read-only. ``limits`` are what it is held to."""

    backend: Backend
    launch: Launch
    masked: Masked | None
    guarded: Guarded
    kept: Kept
    limits: Limits

    def describe(self) -> Iterator[str]:
        """The steps, one line each, in order."""
        for operation in self.launch.operations:
            yield operation.describe()
        for name, value in sorted(self.launch.environment.items()):
            yield f"{'variable':<11}{name}={value}"
        for limit, value in self.limits._asdict().items():
            if value is not None:
                yield f"{'limit':<11}{limit} {value}"
        yield from self.backend.describe(self.launch)
        yield f"{'start in':<11}{self.launch.directory}"
        yield f"{'run':<11}{' '.join(self.launch.command)}"


def choose(options: Options) -> Backend:
    """What confines the command. Raises :class:`HostError` where this machine does not have it."""
    limits = options.policy.sandbox.limits
    place = Place(options.state, options.environment, options.image, limits, options.runtime, options.workspace)
    return find(options.backend, place)


def prepare(options: Options, backend: Backend, authority: Authority, placeholders: Mapping[str, str]) -> Preparation:
    """The preparation for ``options``. ``placeholders`` are those of the exposed secrets, by environment variable.

    Raises :class:`HostError` for whatever this machine, or the layout of its files, does not allow;
    :class:`CommandUnavailable` where the command is not in view.
    """
    view = plan(_wanted(options, backend))
    if backend.programs is not None:
        _require(options.command[0], view)
    _strict(options, backend)
    empties = system.Empties(options.state / "view")
    empties.make()
    home = _home(options, view, placeholders)
    masked = _masked(view) if options.mode == "review" else None
    operations = (
        *backend.system(empties, str(home)),
        *system.trust(trust_files(system.BUNDLE), str(authority.bundle_file), str(authority.certificate_file)),
        *_managed(options),
        *_show(view, empties, masked),
        *system.last(),
    )
    launch = Launch(
        command=options.command,
        operations=operations,
        environment=environment.build(options, view, placeholders),
        directory=view.workspace,
        terminal=options.terminal,
        seccomp=options.policy.sandbox.seccomp,
    )
    return Preparation(
        backend, launch, masked, view.guarded, _kept(options, view, empties), options.policy.sandbox.limits
    )


def _wanted(options: Options, backend: Backend) -> Wanted:
    policy = options.policy
    secret_files = (file for spec in policy.secrets.values() for file in spec.files)
    return Wanted(
        workspace=options.workspace,
        mode=options.mode,
        home=options.home,
        search_path=options.environment.get("PATH", ""),
        system=backend.programs or (),
        hide=policy.workspace.hide,
        show=policy.workspace.show,
        allow_write=policy.workspace.allow_write,
        read=policy.sandbox.read,
        write=policy.sandbox.write,
        tools=policy.sandbox.tools if backend.programs is not None else "system",  # an image brings its own
        concealed=(
            options.state,
            options.config,
            *policy.files,
            *secret_files,
            *opening_files(options.environment),
        ),
    )


def _require(command: str, view: View) -> None:
    file = view.find(command)
    if file is None:
        raise CommandUnavailable(
            f"{command}: not found in the sandbox",
            NOT_FOUND,
            hint="Inside are the system's programs, those on your PATH, and the workspace.",
        )
    if reason := view.obstacle(file):
        raise CommandUnavailable(f"{command}: {reason}", NOT_EXECUTABLE)


def _home(options: Options, view: View, placeholders: Mapping[str, str]) -> Path:
    home = home_of(options.state, options.agent, view.workspace)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"cannot make the agent's home {home}: {error.strerror}") from error
    plant(home, options.profile.seeds, Seeding(view.workspace, placeholders))
    bring_along(options.state, options.agent, options.profile.name, home)
    return home


def _managed(options: Options) -> Iterator[Operation]:
    for path, text in managed_files(options.profile.managed, nested=options.policy.sandbox.seccomp == "nested"):
        yield File(path, text.encode())


def _masked(view: View) -> Masked:
    prefix = f"{view.workspace}/"
    hidden = (hidden.path for hidden in view.hidden if hidden.path.startswith(prefix))
    return Masked(tuple(path.removeprefix(prefix) for path in hidden), view.awaited)


def _kept(options: Options, view: View, empties: system.Empties) -> Kept:
    layered = options.mode == "review"
    own = view.workspace
    return Kept(
        roots=tuple(
            Root(path, shared=writable and not (layered and path == own), layered=layered and path == own)
            for path, writable in view.roots
            if os.path.isdir(path)  # noqa: PTH112 (start-up); a file is shown as it is now
        ),
        hidden=frozenset(each.path for each in view.hidden),
        fixed=frozenset(path for path in view.fixed if not (layered and path.startswith(f"{own}/"))),
        hide=options.policy.workspace.hide,
        show=options.policy.workspace.show,
        nothing=system.NOTHING,
        covers=(empties.file, empties.directory),
    )


def _show(view: View, empties: system.Empties, masked: Masked | None) -> Iterator[Operation]:
    if masked is not None:
        yield Layered(view.workspace)
        yield from (Absent(f"{view.workspace}/{path}") for path in masked.paths)
    for exposure in view.exposures:
        yield Bind(exposure.path, exposure.path, exposure.writable)
    for path, text in view.links.items():
        yield Symlink(text, path)
    for path in view.fixed:
        yield Bind(path, path, optional=True)  # where not even a stand-in can be made, there is nothing
    for hidden in view.hidden:
        if masked is None or not hidden.path.startswith(f"{view.workspace}/"):
            yield Hide(hidden.path, empties.directory if hidden.directory else empties.file)


def _strict(options: Options, backend: Backend) -> None:
    """Refuses where a limit would not hold as it was meant, if that is what the person wants."""
    if options.strict and backend.shortfalls:
        raise HostError(
            "--strict: " + "\n".join(map(str, backend.shortfalls)),
            hint="Without --strict it runs, and says the same.",
        )
