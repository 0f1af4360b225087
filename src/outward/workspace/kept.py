"""What an agent does not get to see or to change while it runs: decided beforehand, and held by a layer and by a keeper."""

from __future__ import annotations

from outward.core.records import NamedTuple


class Masked(NamedTuple):
    """Which paths of the workspace, relative to it, do not exist for the agent, and which names nowhere near them."""

    paths: tuple[str, ...]
    awaited: tuple[str, ...]


class Root(NamedTuple):
    """A directory that the agent sees. ``shared`` is one that it writes to itself; a ``layer`` lies over another."""

    path: str
    shared: bool = False
    layered: bool = False


class Kept(NamedTuple):
    """What is kept: ``hidden`` and ``fixed`` paths that are mounts from the start, and what a policy's ``hide`` and ``show``
    and the tables say of new names below the ``roots``. ``nothing`` are an empty file and an empty directory inside;
    ``covers`` are those outside that hide what is hidden from the start."""

    roots: tuple[Root, ...]
    hidden: frozenset[str]
    fixed: frozenset[str]
    hide: tuple[str, ...]
    show: tuple[str, ...]
    nothing: tuple[str, str]
    covers: tuple[str, ...]
