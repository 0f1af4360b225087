"""Directories of groups: made, entered, removed, and swept when whoever made them is dead."""

from __future__ import annotations

import errno
import os
import re
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

CONTROLLERS: Final = {"memory": "memory", "cpus": "cpu", "pids": "pids"}
"""Limits that groups can hold, and the kernel's name of what holds each."""

PATIENCE: Final = 5.0
"""Seconds that the kernel gets to let go of processes that have ended."""

OPTIONAL: Final = frozenset({"memory.memsw.limit_in_bytes", "memory.swap.max"})
"""Settings that only a kernel which accounts for swap has; without, there is none to be limited, or nobody can limit it."""

_NAME: Final = re.compile(r"outward-([0-9]+)-([0-9]+)")
_PAUSE: Final = 0.005


def words(file: Path) -> list[str]:
    """The words of a group's file; none where there is no such file, or group."""
    try:
        return file.read_text().split()
    except OSError:
        return []


def own_name() -> str:
    """The name of this process's groups: its id, and when it began, since ids are used again."""
    return f"outward-{os.getpid()}-{_began(os.getpid())}"


@contextmanager
def group(settings: Mapping[Path, Mapping[str, str]]) -> Iterator[Callable[[int], None]]:
    """Makes each directory and writes its settings; gives what puts a process into all of them. Removes them at the end.

    A setting is read back: what the kernel did not take is not held. Raises :class:`HostError`.
    """

    def take(pid: int) -> None:
        for directory in settings:
            try:
                (directory / "cgroup.procs").write_text(str(pid))
            except OSError as error:
                raise _failure(directory, error) from error

    sweep({directory.parent for directory in settings})
    with ExitStack() as stack:
        for directory, values in settings.items():
            try:
                directory.mkdir()
                stack.callback(_remove, directory)
                for name, value in values.items():
                    if name not in OPTIONAL or (directory / name).exists():
                        _set(directory / name, value)
            except OSError as error:
                raise _failure(directory, error) from error
        yield take


def sweep(parents: Iterable[Path]) -> None:
    """Removes the groups of processes that are gone. One that is not empty stays, whoever made it: the kernel sees to that."""
    for parent in parents:
        with suppress(OSError), os.scandir(parent) as entries:
            for entry in entries:
                if (match := _NAME.fullmatch(entry.name)) and _began(int(match[1])) != match[2]:
                    with suppress(OSError):
                        os.rmdir(entry.path)  # noqa: PTH106 (from scandir)


def _failure(directory: Path, error: OSError) -> HostError:
    return HostError(
        f"the sandbox's control group {directory} cannot be set up: {error.strerror}",
        hint="`outward doctor` shows what control groups can do here; without `sandbox.limits` none is needed.",
    )


def _began(pid: int) -> str | None:
    """When a process began, in clock ticks since boot (proc(5), field 22 of stat); nothing where it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return status.rpartition(")")[2].split()[19]


def _set(file: Path, value: str) -> None:
    file.write_text(value)
    kept = file.read_text().split()
    page = os.sysconf("SC_PAGESIZE")
    for asked, got in zip(value.split(), kept, strict=True):
        # Sizes are kept in whole pages.
        if asked != got and not (asked.isdigit() and got.isdigit() and 0 <= int(asked) - int(got) < page):
            raise OSError(errno.EINVAL, f"{file.name} is {got}, not {asked}")


def _remove(directory: Path) -> None:
    """Ends what is left in a group (nothing, as a rule: a sandbox's processes end with its first) and removes it."""
    deadline = time.monotonic() + PATIENCE
    with suppress(OSError):
        (directory / "cgroup.kill").write_text("1")  # version 2, since Linux 5.14
    while True:
        try:
            directory.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                return  # the next start sweeps it
            time.sleep(_PAUSE)
        else:
            return
