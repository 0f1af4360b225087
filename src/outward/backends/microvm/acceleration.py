"""Whether machines run on the processor itself (KVM) or are translated, and why.

That /dev/kvm can be opened says little: in a virtual machine of somebody else's, guests may hang on it. What counts is a machine
that was started with it and ended in time. That takes a while where it hangs, so the answer is kept until the host or QEMU
is another one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core.records import NamedTuple
from outward.isolation.answers import Answer, identity

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
        obstacle = self._answer().kept()
        return None if obstacle is None else Acceleration(not obstacle, obstacle)

    def ask(self, attempt: Callable[[], str]) -> Acceleration:
        """The answer. ``attempt`` tries it, and says what stood in the way. Raises :class:`HostError`."""
        known = self.known()
        if known is not None:
            return known
        obstacle = attempt()
        self._answer().keep(obstacle)
        return Acceleration(not obstacle, obstacle)

    def _answer(self) -> Answer:
        """About this start of the host, and this QEMU."""
        return Answer(self._path, f"{_BOOT.read_text().strip()} {identity(self._tool)}")
