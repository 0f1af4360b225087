"""Machines that show an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outward.backends.microvm.guest import NEEDED
from tests.support.caller import new_caller
from tests.support.image import make_root
from tests.system.conftest import Attacked

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.needs("bubblewrap", "qemu-system-x86_64", "machine", "ldd"), pytest.mark.timeout(300)]

LOOK = """
cat /etc/os-release; ls /usr/bin | grep -c python; ls /home
touch /usr/x /etc/x /x; touch /tmp/x /run/x x && echo made
"""


@pytest.fixture
def caller() -> Iterator[Attacked]:
    with new_caller(Attacked, unprivileged=False) as caller:
        caller.bring_machine()
        yield caller


@pytest.fixture
def root(caller: Attacked) -> Path:
    """A root file system, and in it a link where the agent's home is going to be."""
    root = make_root(caller.home / "image", (*NEEDED, "cat", "grep", "ls", "sh", "touch"))
    (root / "home").symlink_to(caller.workspace)
    return root


def run(caller: Attacked, image: Path) -> subprocess.CompletedProcess[str]:
    options = ("--quiet", "--backend", "microvm", "--image", str(image))
    return caller.outward("run", *options, "--", "sh", "-c", LOOK, timeout=240)


def test_a_machine_shows_an_image_read_only(caller, root):
    before = sorted(path.name for path in root.iterdir())
    done = run(caller, root)
    assert done.stdout.splitlines() == ["NAME=the image", "0", "agent", "made"], done.stderr
    assert done.stderr.count("Read-only file system") == 3
    assert [path.name for path in caller.workspace.iterdir()] == ["x"]
    assert sorted(path.name for path in root.iterdir()) == before


def test_an_image_that_can_start_nothing_is_refused(caller, root):
    (root / "usr/bin/setpriv").unlink()
    done = run(caller, root)
    assert done.returncode == 125
    assert "lacks /usr/bin/setpriv" in done.stderr


def test_one_without_a_shell_says_all_that_it_has_to_say(caller: Attacked) -> None:
    image = make_root(caller.home / "image", (*NEEDED, "cat"))
    (image / "usr" / "text").write_text("x" * 999 + "\n")
    options = ("--quiet", "--backend", "microvm", "--image", str(image))
    done = caller.outward("run", *options, "--", "cat", *["/usr/text"] * 999, timeout=240)
    assert (done.returncode, len(done.stdout)) == (0, 999_000), done.stderr
