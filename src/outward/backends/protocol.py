"""The port between a session and what confines its command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from outward.core import Limits
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from outward.cage import Enclosure, Sockets
    from outward.core import Shortfall
    from outward.isolation.launch import Launch
    from outward.isolation.operations import Operation
    from outward.isolation.system import Empties
    from outward.workspace.layer import Layer


class Place(NamedTuple):
    """What a backend may know of its caller: the state directory, the environment, the image and the engine's runtime that
    were asked for, what sandboxes may use, and the workspace where there is one already."""

    state: Path
    environment: Mapping[str, str]
    image: str | None = None
    limits: Limits = Limits()
    runtime: str | None = None
    workspace: Path | None = None

    @property
    def seen(self) -> tuple[Path, ...]:
        """The directories of the caller's that a sandbox shows, or shows files of."""
        return tuple(path for path in (self.state, self.workspace) if path is not None)


class Capabilities(NamedTuple):
    """What a backend has on this machine: its ``tool``, ``remarks`` on how it would be used, and ``variants``, each of them
    options of ``outward run`` with which it confines in another way."""

    tool: str
    remarks: tuple[str, ...] = ()
    variants: tuple[tuple[str, ...], ...] = ()


class Spec(NamedTuple):
    """One sandbox. ``session`` is its name in the journal. ``stdio`` are the descriptors for the command's 0, 1 and 2.
    ``layer``, in review mode, lies over the workspace and takes what is written. ``inherit`` are further descriptors that stay
    open under their own numbers. ``enclosure`` is for a backend that is ``caged``, which makes one itself where there is none."""

    launch: Launch
    session: str
    stdio: tuple[int, int, int] = (0, 1, 2)
    layer: Layer | None = None
    inherit: tuple[int, ...] = ()
    enclosure: Enclosure | None = None


class Sandbox(Protocol):
    """A command that was started. Whoever made it ends it: see :meth:`Backend.launch`."""

    @property
    def sockets(self) -> Sockets:
        """Those of its cage; they stay its own."""

    @property
    def over(self) -> bool:
        """Whether the command has ended and nothing that it sent waits to be taken."""

    @property
    def entrance(self) -> Callable[[], int | None] | None:
        """Gives a process that sees the files as the command does, once there is one; none where it cannot be entered."""

    def fileno(self) -> int:
        """A descriptor that is readable once it has ended (a pidfd)."""

    def signal(self, number: int) -> bool:
        """Sends a signal to the command's process group; whether there was one to be told."""

    def kill(self) -> None:
        """Ends everything inside at once."""

    def wait(self) -> int | None:
        """Waits for the end: the command's exit status as a shell would give it, nothing where it was never started."""


class Backend(Protocol):
    """A way to confine. Made by :func:`outward.backends.find`, which fails where its tool is missing."""

    @property
    def name(self) -> str:
        """As in a policy."""

    @property
    def caged(self) -> bool:
        """Whether it puts what it starts into an enclosure of ours; otherwise an engine makes the network namespace."""

    @property
    def programs(self) -> tuple[str, ...] | None:
        """Directories of the host whose programs are seen inside; none where an image brings its own."""

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """Which limits of its place would not be held as they are meant."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know before anything starts, besides that: how it would confine less than others here,
        or work less well."""

    def probe(self) -> Capabilities:
        """Tries it out. Raises :class:`~outward.core.HostError`, with the way out, where it does not work."""

    def system(self, empties: Empties, home: str) -> Iterable[Operation]:
        """The operating system that the command sees, in order. ``home`` is the host's directory of the agent's home."""

    def describe(self, launch: Launch) -> Iterator[str]:
        """Lines about how it would be built, besides the operations."""

    def launch(self, spec: Spec) -> AbstractContextManager[Sandbox]:
        """Starts it; leaving the context ends it and leaves nothing behind. Raises :class:`~outward.core.HostError`.

        Forks: call it while there are no other threads, from the one that stays until the end.
        """
