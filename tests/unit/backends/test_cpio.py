from __future__ import annotations

import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from outward.backends.microvm.cpio import archive, directory, file, link

if TYPE_CHECKING:
    from pathlib import Path

BUSYBOX = shutil.which("busybox")


def test_an_archive_begins_and_ends_as_the_kernel_expects():
    made = archive([])
    assert made.startswith(b"070701")
    assert b"TRAILER!!!\0" in made
    assert len(made) % 512 == 0


def test_everything_starts_at_a_multiple_of_four():
    made = archive([file("a", b"x"), file("bc", b"xyz"), file("def", b"")])
    assert [position % 4 for position in range(len(made)) if made.startswith(b"070701", position)] == [0, 0, 0, 0]


@pytest.mark.needs("busybox")
def test_another_reader_finds_what_was_put_in(tmp_path: Path):
    made = archive([directory("d"), file("d/one", b"first\n", 0o755), link("d/two", "one")])
    subprocess.run([str(BUSYBOX), "cpio", "-i"], input=made, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "d/two").read_bytes() == b"first\n"
    assert stat.S_IMODE((tmp_path / "d/one").stat().st_mode) == 0o755
