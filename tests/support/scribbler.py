"""Changes a tree at random: started in the sandbox and outside with the same seed, it does the same."""

from __future__ import annotations

import random
import shutil
import sys
from contextlib import suppress
from pathlib import Path

NAMES = ("a", "b", "c", "d")


def somewhere(chance: random.Random) -> str:
    return "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 4)))


def scribble(path: Path, chance: random.Random) -> None:
    """One step; what is not possible is not done."""
    step = chance.choice(("write", "write", "write", "directory", "remove", "link", "mode", "move"))
    other = Path(somewhere(chance))
    content = chance.choice(("one", "two", "three", ""))
    mode = chance.choice((0o600, 0o644, 0o640))
    plain = path.is_file() and not path.is_symlink()
    with suppress(OSError, shutil.Error):
        if step == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                path.unlink()
            path.write_text(content)
        elif step == "directory":
            path.mkdir(parents=True)
        elif step == "remove" and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif step == "remove":
            path.unlink()
        elif step == "link":
            path.symlink_to(content or "nowhere")
        elif step == "mode" and plain:
            path.chmod(mode)
        elif step == "move" and not other.is_relative_to(path) and not (other.exists() or other.is_symlink()):
            shutil.move(path, other)


if __name__ == "__main__":
    chance = random.Random(int(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        scribble(Path(somewhere(chance)), chance)
