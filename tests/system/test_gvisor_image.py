"""gVisor with an image's programs."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.caller import new_caller
from tests.support.image import make_root
from tests.system.conftest import Attacked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.needs("runsc", "ldd")

TOOLS = ("cat", "env", "id", "sh", "tar", "touch", "unshare")
LOOK = """
cat /etc/os-release; echo /usr/bin/p* /home/*; id -un; cat shown .env
touch /usr/x /etc/x /x; touch /tmp/x /run/x /var/tmp/x /dev/shm/x x && echo made
"""


@pytest.fixture(params=["self", "unprivileged"])
def caller(request: pytest.FixtureRequest) -> Iterator[Attacked]:
    with new_caller(Attacked, unprivileged=request.param == "unprivileged") as caller:
        caller.file(caller.workspace / ".env", "TOKEN=sk-test-1")
        caller.file(caller.workspace / "shown", "shown\n", 0o644)
        yield caller


@pytest.fixture
def root(caller: Attacked) -> Path:
    """A root file system, and in it a link where the agent's home is going to be."""
    root = make_root(caller.root / "image", TOOLS)
    (root / "home").symlink_to(caller.workspace)
    return root


def packed(root: Path) -> Path:
    file = root.with_name("image.tar.gz")
    subprocess.run(["tar", "-C", root, "-czf", file, "."], check=True)
    return file


def run(caller: Attacked, image: object, *options: str) -> subprocess.CompletedProcess[str]:
    return caller.inside(LOOK, "--backend", "gvisor", "--image", str(image), *options)


@pytest.mark.parametrize("form", [lambda root: root, packed])
def test_the_programs_are_the_images_and_nothing_of_it_is_written(caller, root, form):
    image = form(root)
    before = sorted(path.name for path in root.iterdir())
    done = run(caller, image)
    assert done.stdout.splitlines() == ["NAME=the image", "/usr/bin/p* /home/agent", "agent", "shown", "made"], (
        done.stderr
    )
    assert done.stderr.count("cannot touch") == 3
    assert sorted(path.name for path in caller.workspace.iterdir()) == [".env", "shown", "x"]
    assert sorted(path.name for path in root.iterdir()) == before


def test_it_is_the_one_whose_digest_was_given(caller, root):
    image = packed(root)
    digest = subprocess.run(["sha256sum", image], capture_output=True, text=True, check=True).stdout.split()[0]
    assert run(caller, f"{image}@sha256:{digest}").returncode == 0
    (root / "etc/os-release").write_text("NAME=another\n")
    packed(root)
    refused = run(caller, f"{image}@sha256:{digest}")
    assert (refused.returncode, refused.stdout) == (125, "")
    assert "not what was asked for" in refused.stderr


def test_changes_are_kept_for_review_with_an_image(caller, root):
    done = run(caller, root, "--mode", "review")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in caller.workspace.iterdir()) == [".env", "shown"]
    assert "x" in caller.outward("review").stdout


def test_an_image_that_can_start_nothing_is_refused(caller, root):
    (root / "usr/bin/unshare").unlink()
    done = run(caller, root)
    assert done.returncode == 125
    assert "lacks /usr/bin/unshare" in done.stderr


def test_a_directory_that_the_agent_writes_to_is_no_image(caller, root):
    """One of its processes could exchange a directory for a link, between our look at it and the mount."""
    inside = root.rename(caller.workspace / "image")
    refused = run(caller, inside)
    assert refused.returncode == 125
    assert "where agents write" in refused.stderr
    assert run(caller, packed(inside)).returncode == 0


def test_the_command_is_looked_for_in_the_image(caller, root):
    done = caller.outward("run", "--quiet", "--backend", "gvisor", "--image", str(root), "--", "python3")
    assert done.returncode == 127


def test_what_would_be_done_is_said_without_unpacking(caller, root):
    image = packed(root)
    said = caller.outward("run", "--dry-run", "--backend", "gvisor", "--image", str(image), "--", "true").stdout
    assert f"image      {image}" in said
    assert not (caller.state / "images").exists()
