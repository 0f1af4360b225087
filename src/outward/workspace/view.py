"""Puts the view together, and refuses the ones that would be holes."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.core.records import NamedTuple
from outward.workspace.aside import identified
from outward.workspace.fixed import STAND_INS
from outward.workspace.guard import Guarded, StandIn
from outward.workspace.patterns import Globs
from outward.workspace.scan import INSTALLED, Found, Hidden, Scanner
from outward.workspace.toolchains import Toolchains, discover, interpreter, is_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SYSTEM_PATH: Final = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
"""What PATH always ends with."""

KERNEL: Final = ("/proc", "/sys", "/dev", "/run", "/boot")
"""Never shown, nor anything in them: the kernel's own, and every socket of the host."""

SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc")
"""Never writable, nor anything in them."""


class Exposure(NamedTuple):
    """A path shown at its own place."""

    path: str
    writable: bool


class Wanted(NamedTuple):
    """What a session asks for. Paths are absolute.

    ``search_path`` and ``home`` are the caller's. ``concealed`` are paths that no agent may ever see or replace: the state
    directory, the policy files. ``system`` are the directories that are visible in every sandbox.
    """

    workspace: Path
    mode: str
    home: Path
    search_path: str
    system: tuple[str, ...]
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    allow_write: tuple[str, ...] = ()
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    tools: str = "path"
    concealed: tuple[Path, ...] = ()


class View(NamedTuple):
    """What is seen. Parents come before what lies in them, so that the order is the order of mounting.

    ``awaited`` are names that are hidden even where nothing has them yet, if that can be done. ``guarded`` is what must not
    come into being; its stand-ins are among ``fixed``. ``roots`` are the exposures that were asked for: the workspace and
    further paths.
    """

    workspace: str
    exposures: tuple[Exposure, ...]
    hidden: tuple[Hidden, ...]
    fixed: tuple[str, ...]
    links: Mapping[str, str]
    path: tuple[str, ...]
    variables: Mapping[str, str]
    system: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    guarded: Guarded = Guarded()
    roots: tuple[Exposure, ...] = ()

    def sees(self, path: str) -> bool:
        """Whether the file at ``path``, all links followed, is there inside."""
        real = os.path.realpath(path)
        if any(is_below(real, hidden.path) for hidden in self.hidden):
            return False
        shown = (*self.system, *(exposure.path for exposure in self.exposures))
        return os.path.exists(real) and any(is_below(real, root) for root in shown)  # noqa: PTH110 (start-up)

    def find(self, command: str) -> str | None:
        """The file that ``command`` starts inside; none when there is no such file in view (execvp(3))."""
        if "/" in command:
            candidates: Iterable[str] = [os.path.normpath(f"{self.workspace}/{command}")]
            if command.startswith("/"):
                candidates = [command]
        else:
            candidates = (f"{directory}/{command}" for directory in self.path)
        seen = [path for path in candidates if os.path.isfile(path) and self.sees(path)]  # noqa: PTH113 (start-up)
        return next((path for path in seen if os.access(path, os.X_OK)), seen[0] if seen else None)

    def obstacle(self, file: str) -> str:
        """Why ``file`` cannot be started inside; empty when it can."""
        if not os.access(file, os.X_OK):
            return "it is not executable"
        program = interpreter(file)
        return f"its interpreter {program} is not in the sandbox" if program and not self.sees(program) else ""


def plan(wanted: Wanted) -> View:
    """The view for a session. Raises :class:`HostError` for a workspace or path that must not be shown."""
    workspace = _real(wanted.workspace)
    _refuse_dangerous(workspace, wanted, writable=True)
    exposures = {workspace: wanted.mode != "read"}
    for writable, paths in ((True, wanted.write), (False, wanted.read)):
        for path in map(_real, paths):
            _refuse_dangerous(path, wanted, writable=writable)
            exposures.setdefault(path, writable)
    roots = tuple(Exposure(path, exposures[path]) for path in _parents_first(exposures))
    tools = _tools(wanted, exposures)
    found = _scan(wanted, exposures, tools)
    exposures |= {root: False for root in tools.roots if root not in exposures}
    concealed = list(_concealed(wanted, exposures))
    for path in (*found.pinned, *_between(concealed, exposures)):
        if _nearest(path, exposures) and not (wanted.mode == "review" and _root_of(path, roots) == workspace):
            exposures.setdefault(
                path, True
            )  # mounted on itself, it cannot be renamed away; below a layer it would be written to
    hidden = {each.path: each for each in (*found.hidden, *concealed)}
    guarded = _guarded(wanted, workspace, found, exposures) if wanted.mode == "write" else Guarded()
    fixed = (*found.fixed, *(each.whole for each in guarded.stand_ins))
    return View(
        workspace=workspace,
        exposures=tuple(Exposure(path, exposures[path]) for path in _parents_first(exposures)),
        hidden=tuple(hidden[path] for path in _parents_first(hidden) if not _within(path, hidden)),
        fixed=tuple(path for path in _parents_first(fixed) if path not in hidden),
        links=tools.links,
        path=tuple(dict.fromkeys((*tools.path, *SYSTEM_PATH))),
        variables=tools.variables,
        system=wanted.system,
        awaited=Scanner(wanted.hide, wanted.show).awaited(),
        guarded=guarded,
        roots=roots,
    )


def _real(path: Path) -> str:
    try:
        return str(path.expanduser().resolve(strict=True))
    except OSError as error:
        raise HostError(f"{path} cannot be shown in the sandbox: {error.strerror}") from error


def _refuse_dangerous(path: str, wanted: Wanted, *, writable: bool) -> None:
    home = os.path.realpath(wanted.home)
    refusals = (
        (path == "/", "it is the whole machine"),
        (any(is_below(path, root) for root in KERNEL), "it belongs to the kernel and the host's services"),
        (writable and any(is_below(path, root) for root in SYSTEM), "it belongs to the operating system"),
        (writable and path == "/tmp", "other programs keep their sockets there"),  # noqa: S108
        (writable and is_below(home, path), "it is, or holds, your home directory"),
        (any(is_below(path, os.path.realpath(each)) for each in wanted.concealed), "Outward keeps its own files there"),
    )
    for refused, reason in refusals:
        if refused:
            raise HostError(f"{path} cannot be shown in the sandbox: {reason}", hint="Choose a project directory.")


def _tools(wanted: Wanted, exposures: dict[str, bool]) -> Toolchains:
    if wanted.tools == "system":
        return Toolchains()
    shown = (*wanted.system, *exposures)
    return discover(
        wanted.search_path,
        os.path.realpath(wanted.home),
        covered=lambda path: any(is_below(path, root) for root in shown),
    )


def _scan(wanted: Wanted, exposures: dict[str, bool], tools: Toolchains) -> Found:
    scanner, installed = Scanner(wanted.hide, wanted.show, wanted.allow_write), Scanner()
    found = Found()
    for path, writable in exposures.items():
        if not any(path != other and is_below(path, other) and exposures[other] == writable for other in exposures):
            found.extend(scanner.scan(path, fix=writable))
    for root in tools.roots:
        found.extend(installed.scan(root, skip=INSTALLED))
    return found


def _guarded(wanted: Wanted, workspace: str, found: Found, exposures: dict[str, bool]) -> Guarded:
    allowed = Globs(wanted.allow_write)
    roots = dict.fromkeys((workspace, *map(_real, wanted.write)))
    roots_alone = tuple(root for root in roots if not any(root != other and is_below(root, other) for other in roots))
    repositories = (path.removesuffix("/.git") for path in found.pinned if path.endswith("/.git"))
    places = [(workspace, False), *((path, True) for path in repositories if _nearest(path, exposures))]
    stand_ins = [
        StandIn(place, name, content)
        for place, is_repository in places
        for name, content in STAND_INS.items()
        if name.startswith(".git/") == is_repository and not os.path.islink(f"{place}/{name}")  # noqa: PTH114 (start-up)
    ]
    below = {root: len(root) + 1 for root in roots_alone}

    def lifted(path: str) -> bool:
        return any(allowed.match(path[start:]) for root, start in below.items() if is_below(path, root))

    stand_ins = [each for each in stand_ins if not lifted(each.whole)]
    known = (*found.fixed, *found.links, *(each.whole for each in stand_ins))
    return Guarded(roots_alone, tuple(stand_ins), frozenset(map(identified, known)), wanted.allow_write)


def _concealed(wanted: Wanted, exposures: dict[str, bool]) -> Iterator[Hidden]:
    for path in wanted.concealed:
        parent = os.path.realpath(path.parent)
        if path.is_symlink() and _nearest(f"{parent}/{path.name}", exposures):
            raise HostError(
                f"{path} is a link in a directory that the agent may write to, so the agent could replace it",
                hint="Keep policies and secrets outside of the workspace.",
            )
        real = os.path.realpath(path)
        if not os.path.lexists(real) and _nearest(real, exposures):
            raise HostError(
                f"{path} is not there, and lies where the agent may write, so the agent could make one",
                hint="Make it first, or keep policies and secrets outside of the workspace.",
            )
        if os.path.exists(real) and any(is_below(real, root) for root in exposures):  # noqa: PTH110 (start-up)
            yield Hidden(real, os.path.isdir(real))  # noqa: PTH112 (start-up)


def _between(concealed: list[Hidden], exposures: dict[str, bool]) -> Iterator[str]:
    """The directories between what is shown and what is concealed in it."""
    for hidden in concealed:
        for parent in map(str, PurePath(hidden.path).parents):
            if any(is_below(parent, root) for root in exposures):
                yield parent


def _nearest(path: str, exposures: dict[str, bool]) -> bool:
    """Whether ``path`` is writable inside: as the nearest of what is shown above it says."""
    above = [root for root in exposures if is_below(path, root)]
    return bool(above) and exposures[max(above, key=len)]


def _root_of(path: str, roots: Iterable[Exposure]) -> str:
    return max((root.path for root in roots if is_below(path, root.path)), key=len, default="")


def _within(path: str, hidden: dict[str, Hidden]) -> bool:
    return any(str(parent) in hidden for parent in PurePath(path).parents)


def _parents_first(paths: Iterable[str]) -> list[str]:
    return sorted(set(paths), key=lambda path: (path.count("/"), path))
