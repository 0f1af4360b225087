"""Programs that no sandbox can have written: what runs outside on its own is taken from nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


class Outside:
    """What is not in directories in which the sandbox may write; the home and what holds it never is such a one."""

    def __init__(self, writable: Iterable[Path], home: Path) -> None:
        home = home.resolve()
        self._avoid: Final = {path.resolve() for path in writable} - {home, *home.parents}

    def holds(self, path: Path) -> bool:
        """Whether ``path``, wherever it leads, is outside; a relative one never is."""
        if not path.is_absolute():
            return False
        real = path.resolve()
        return self._avoid.isdisjoint((real, *real.parents))

    def search_path(self, path: str) -> str:
        """``PATH`` without directories that are not. Where none is left the system's: an empty one is the current directory."""
        return os.pathsep.join(entry for entry in path.split(os.pathsep) if self.holds(Path(entry))) or os.defpath
