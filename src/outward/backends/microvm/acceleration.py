"""Whether machines run on the processor itself (KVM) or are translated, and why.

That /dev/kvm can be opened says little: in a virtual machine of somebody else's, guests may hang on it. What counts is a machine
that was started with it and ended in time. That takes a while where it hangs, so the answer is kept until the host or QEMU
is another one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from outward.core import HostError

if TYPE_CHECKING:
    from collections.abc import Callable

KVM: Final = "/dev/kvm"

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Acceleration(NamedTuple):
    """Whether machines start with KVM; where not, ``obstacle`` says why."""

    kvm: bool
    obstacle: str = ""

    def __str__(self) -> str:
        return "with KVM" if self.kvm else f"without KVM, some ten times slower: {self.obstacle}"


class Memory:
    """What was found out with the QEMU at ``tool``, kept in ``state``."""

    def __init__(self, state: Path, tool: str) -> None:
        self._path: Final = state / "machine" / "kvm"
        self._tool: Final = tool

    def known(self) -> Acceleration | None:
        """The answer, if nobody has to try: nothing where it is still to be found out."""
        if not os.access(KVM, os.R_OK | os.W_OK):  # never kept: the next moment its owner may let us
            there = os.path.exists(KVM)  # noqa: PTH110 (start-up)
            return Acceleration(False, f"{KVM} may not be opened" if there else f"there is no {KVM}")
        with suppress(OSError, ValueError):  # nothing is kept yet, or nothing that can be read
            about, answer = self._path.read_text().split("\n")
            if about == self._about():
                return Acceleration(not answer, answer)
        return None

    def ask(self, attempt: Callable[[], str]) -> Acceleration:
        """The answer. ``attempt`` tries it, and says what stood in the way. Raises :class:`HostError`."""
        known = self.known()
        if known is not None:
            return known
        obstacle = attempt()
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            draft.write_text(f"{self._about()}\n{obstacle}")
            draft.replace(self._path)
        except OSError as error:
            raise HostError(f"cannot write {self._path}: {error.strerror}") from error
        return Acceleration(not obstacle, obstacle)

    def _about(self) -> str:
        """This start of the host, and this QEMU."""
        tool = os.stat(self._tool)  # noqa: PTH116 (start-up)
        return f"{_BOOT.read_text().strip()} {self._tool} {tool.st_dev} {tool.st_ino} {tool.st_size} {tool.st_ctime_ns}"
