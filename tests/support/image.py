"""A root file system for sandboxes that show an image's: a few programs of this machine, copied."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def make_root(root: Path, tools: Iterable[str]) -> Path:
    """``root`` with the programs ``tools`` and what they load."""
    for tool in filter(None, map(shutil.which, tools)):
        said = subprocess.run(["ldd", tool], capture_output=True, text=True, check=True).stdout
        for file in (f"/usr/bin/{Path(tool).name}", *re.findall(r"(/\S+) \(0x", said)):
            place = root / file.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
    (root / "bin").symlink_to("usr/bin")
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("NAME=the image\n")
    return root
