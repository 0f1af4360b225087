"""What holds in containers alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.backends.conftest import CONTAINERS, boxes, write_policy
from tests.conftest import SOMEBODY
from tests.system.test_end import ready, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.backends.conftest import Box

pytestmark = pytest.mark.timeout(300)
everywhere = pytest.mark.parametrize("box", boxes(*CONTAINERS), indirect=True)


def started(box: Box, *options: str, seconds: int = 1000) -> subprocess.Popen[str]:
    process = box.start("run", "--quiet", *options, "--", "sh", "-c", f"echo ready; sleep {seconds}")
    ready(process)
    return process


def keep_holder(box: Box) -> None:
    """Docker's containers end with what reads the holder's standard input: it does not read any more."""
    (holder,) = (name for name in box.containers() if name.endswith("-cage"))
    shell = int(box.engine("inspect", "--format", "{{.State.Pid}}", holder))
    for pid in children(shell):
        os.kill(pid, signal.SIGSTOP)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_with_helpers(process: subprocess.Popen[str]) -> None:
    """Kills a session and all that waits for its end, as if the machine had."""
    process.send_signal(signal.SIGSTOP)
    for pid in (*children(process.pid), process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def image(box: Box) -> Iterator[str]:
    """An image of a shell and little else, with a file of its own."""
    tree = box.root / "image"
    libraries = set()
    for program in ("sh", "cat", "ls", "sleep"):
        path = Path("/bin", program).resolve()
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        libraries |= {word for word in said.split() if word.startswith("/")}
        place(path, tree / "bin" / program)
    for library in libraries:
        place(Path(library).resolve(), tree / library.lstrip("/"))
    (tree / "etc").mkdir()
    (tree / "etc" / "mine").write_text("the image's\n")
    archive = box.root / "image.tar"
    subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
    box.own(archive)
    box.engine("import", str(archive), name := f"outward-test-{uuid.uuid4().hex[:8]}:latest")
    yield name
    box.engine("rmi", "--force", name)


def place(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, target)


class TestImages:
    @everywhere
    def test_the_programs_are_the_images(self, box, image):
        box.file(box.workspace / "before", "old\n", 0o644)
        line = "cat /etc/mine before; echo new >made; touch made"
        done = box.inside(line, "--image", image)
        assert done.stdout == "the image's\nold\n"
        assert "touch: not found" in done.stderr
        assert (box.workspace / "made").stat().st_uid == box.workspace.stat().st_uid
        assert "Read-only" in box.inside("echo x >/etc/mine", "--image", image).stderr

    @everywhere
    def test_one_that_is_not_there_is_not_fetched(self, box):
        done = box.inside("echo ran", "--image", "registry.test/none:latest")
        assert (done.returncode, done.stdout) == (125, "")

    @everywhere
    def test_review(self, box, image):
        box.file(box.workspace / "before", "old\n", 0o644)
        box.file(box.workspace / ".env", "KEY=value\n")
        done = box.inside("echo new >before; cat before; ls -A", "--image", image, "--mode", "review")
        assert done.stdout.split() == ["new", "before"]
        assert (box.workspace / "before").read_text() == "old\n"
        assert "+new" in box.outward("review").stdout

    @everywhere
    @pytest.mark.parametrize("number", [0, signal.SIGTERM, signal.SIGKILL])
    def test_nothing_is_left(self, box, image, number):
        process = started(box, "--image", image, seconds=1000 if number else 0)
        if number:
            process.send_signal(number)
        process.wait()
        until(lambda: box.containers() == [])
        until(lambda: image not in mounted(box))


def mounted(box: Box) -> str:
    """The images that podman keeps mounted."""
    if box.kind.backend == "docker" or box.uid is not None:
        return ""
    return box.engine("image", "mount")


@everywhere
def test_what_nobody_was_left_to_remove_is_removed_by_the_next_start(box):
    process = started(box)
    if box.kind.backend == "docker":
        keep_holder(box)
    kill_with_helpers(process)
    remains = box.containers()
    assert remains
    assert box.inside("true").returncode == 0
    until(lambda: not set(remains) & set(box.containers()))


@everywhere
def test_those_of_a_living_session_are_left_alone(box):
    process = started(box)
    before = box.containers()
    assert box.inside("true").returncode == 0
    assert set(before) <= set(box.containers())
    process.terminate()
    process.wait()


@everywhere
def test_who_would_be_root_of_this_machine_is_told(box):
    told = "the command is root of this machine" in box.inside("true").stderr
    mapping = box.inside("cat /proc/self/uid_map").stdout.split()
    assert told is (mapping[:2] == ["0", "0"] and not box.kind.own_kernel)


@pytest.mark.parametrize("box", boxes("docker-user"), indirect=True)
def test_power_over_roots_daemon_alone_does_not_do(box, daemon):
    """As with the group `docker`."""
    listening = Path(daemon.removeprefix("unix://"))
    for path, mode in ((listening.parent, 0o711), (listening, 0o666)):
        path.chmod(mode)
    box.environment["DOCKER_HOST"] = daemon
    box.engine("ps")  # which succeeds
    done = box.inside("echo ran")
    assert (done.returncode, done.stdout) == (125, "")
    assert "docker's daemon is root's and you are not" in done.stderr


@everywhere
def test_a_variable_of_several_lines_is_an_error_and_nothing_is_left(box):
    write_policy(box, 'sandbox: {env: {set: {NOTE: "one\\ntwo"}}}\n')
    done = box.inside("echo ran")
    assert (done.returncode, done.stdout) == (125, "")
    assert "NOTE has several lines" in done.stderr
    until(lambda: box.containers() == [])


@everywhere
@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_workspace_in_which_its_caller_can_make_nothing(box, mode):
    box.file(box.workspace / "file", "theirs\n", 0o644)
    os.chown(box.workspace, 0, 0)
    done = box.inside("cat file", "--mode", mode)
    assert (done.stdout, done.returncode) == ("theirs\n", 0), done.stderr


class TestMappedUsers:
    """A docker daemon with `userns-remap`."""

    pytestmark = pytest.mark.parametrize("box", boxes("docker-remapped"), indirect=True)

    def test_what_is_the_callers_is_the_commands(self, box):
        box.file(box.workspace / "private", "kept\n")
        box.file(box.workspace / "theirs", "", 0o644)
        os.chown(box.workspace / "theirs", SOMEBODY, SOMEBODY)
        (box.workspace / "group").mkdir(0o770)
        os.chown(box.workspace / "group", -1, SOMEBODY)
        line = "cat private; stat -c %u:%g . ~ private theirs; echo made >group/made; echo x >theirs"
        done = box.inside(f"{line}; cat /proc/self/uid_map")
        *said, mapping = done.stdout.splitlines()
        assert said == ["kept", "1000:1000", "1000:1000", "1000:1000", "65534:65534"]
        assert "theirs: Permission denied" in done.stderr
        assert mapping.split()[1] not in {"0", str(os.getuid())}
        made = (box.workspace / "group" / "made").stat()
        assert (made.st_uid, made.st_gid) == (os.getuid(), os.getgid())

    def test_what_appears_is_hidden_whoever_its_directory_is_shared_with(self, box):
        """To the kernel nobody inside has power over a file with a group that is nobody's there, our own process neither."""
        (box.workspace / "group").mkdir()
        os.chown(box.workspace / "group", -1, SOMEBODY)
        (box.workspace / "group").chmod(0o750)
        loop = "for each in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; cat group/.env; done"
        process = box.start("run", "--quiet", "--", "sh", "-c", f"echo ready; {loop} >~/seen 2>&1; cat group/.env")
        ready(process)
        box.file(box.workspace / "group" / ".env", "KEY=hidden-value\n")
        said, errors = process.communicate(timeout=60)
        assert "hidden-value" not in said, errors
        assert process.returncode == 0, errors

    def test_without_us_it_would_be_nobodys(self, box):
        """What the daemon makes of the same workspace by itself."""
        box.file(box.workspace / "private", "kept\n")
        box.workspace.chmod(0o755)
        assert box.inside("true").returncode == 0
        image = box.engine("images", "--format", "{{.Repository}}:{{.Tag}}").split()[0]
        mounts = [f"--mount=type=bind,source={path},target={path}" for path in ("/usr", str(box.workspace))]
        line = f"stat -c %u:%g {box.workspace}; cat {box.workspace}/private 2>&1"
        argv = ("run", "--rm", "--network=none", "--user=1000:1000", *mounts, image, "sh", "-c", f"{line} || true")
        said = box.engine(*argv).splitlines()
        assert said[0] == "65534:65534"
        assert said[1].endswith("Permission denied")

    def test_nothing_is_mounted_here_once_it_runs(self, box):
        process = started(box)
        until(lambda: not any((box.state / "containers" / "stages").iterdir()))
        assert str(box.root) not in Path("/proc/self/mountinfo").read_text()
        process.terminate()
        process.wait()

    @pytest.mark.parametrize("mode", ["write", "read", "review"])
    def test_files_that_cannot_be_mapped_are_shown_as_before_and_it_is_said(self, box, mode):
        """An overlay of its own below the workspace's path: no overlay can be mapped."""
        layers = [box.root / name for name in ("lower", "upper", "work")]
        for path in (*layers, box.workspace):
            path.mkdir(exist_ok=True)
        lower, upper, work = layers
        box.file(lower / "file", "kept\n")
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, box.workspace], check=True)
        try:
            done = box.inside("cat file; cat /proc/self/uid_map", "--mode", mode)
        finally:
            subprocess.run(["umount", "--lazy", box.workspace], check=True)  # what watched it takes a moment to go
        assert done.stdout.split()[:3] == ["kept", "0", "0"]
        assert f"is told not to: {box.workspace}: its file system does not map users" in done.stderr


@pytest.mark.parametrize("box", boxes("podman", "podman-user"), indirect=True)
def test_what_the_kernel_tells_root_alone_is_not_told(box):
    """Where root runs podman, somebody inside is root outside."""
    private = [
        path for path in ("/proc/slabinfo", "/proc/vmallocinfo") if Path(path).exists() and Path(path).read_text()
    ]
    assert private
    assert box.inside(f"cat {' '.join(private)}").stdout == ""
