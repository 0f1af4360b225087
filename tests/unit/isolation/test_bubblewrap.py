from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from outward.core import HostError
from outward.isolation import bubblewrap, system
from outward.isolation import programs as host_programs
from outward.isolation.bubblewrap import Bubblewrap
from outward.isolation.launch import Launch
from outward.isolation.operations import Bind, Directory, File, Fresh, Hide, Kernel, Seal, Symlink

TOOL = Bubblewrap("/usr/bin/bwrap", "/usr/bin/setsid", disable_userns=True)


def hold(content: bytes) -> int:
    return 100 + len(content)


def launch(**changes: object) -> Launch:
    values: dict[str, object] = {
        "command": ("ls", "-l"),
        "operations": (Bind("/usr", "/usr"), Hide("/w/.env", "/empty")),
        "environment": {"PATH": "/usr/bin"},
        "directory": "/w",
        "terminal": False,
    }
    return Launch(**(values | changes))  # type: ignore[arg-type]


def words(given: Launch, tool: Bubblewrap = TOOL) -> list[str]:
    text = tool.arguments(given, seccomp=7, status=8, hold=hold)
    assert text.endswith(b"\0")
    return text[:-1].decode().split("\0")


def test_the_command_line_shows_the_command_and_nothing_else():
    given = launch(environment={"TOKEN": "placeholder"})
    assert TOOL.argv(given, 5) == ("/usr/bin/bwrap", "--args", "5", "--", "/usr/bin/setsid", "ls", "-l")


def test_a_terminal_becomes_the_controlling_one():
    assert "--ctty" in TOOL.argv(launch(terminal=True), 5)
    assert "--ctty" not in TOOL.argv(launch(terminal=False), 5)


@pytest.mark.parametrize(
    "expected",
    [
        ["--unshare-user"],
        ["--unshare-pid"],
        ["--unshare-ipc"],
        ["--unshare-uts"],
        ["--unshare-cgroup"],
        ["--die-with-parent"],
        ["--cap-drop", "ALL"],
        ["--clearenv"],
        ["--uid", "1000", "--gid", "1000"],
        ["--seccomp", "7"],
        ["--json-status-fd", "8"],
        ["--chdir", "/w"],
    ],
)
def test_what_every_sandbox_has(expected):
    found = words(launch(operations=(), environment={}))
    assert any(found[start : start + len(expected)] == expected for start in range(len(found)))


def test_the_environment_is_cleared_before_it_is_set():
    found = words(launch())
    assert found.index("--clearenv") < found.index("--setenv")


def test_further_user_namespaces_are_forbidden_where_bubblewrap_can():
    assert "--disable-userns" in words(launch())
    assert "--disable-userns" not in words(
        launch(), Bubblewrap("/usr/bin/bwrap", "/usr/bin/setsid", disable_userns=False)
    )


def test_operations_keep_their_order():
    found = words(launch())
    assert found.index("/usr") < found.index("/w/.env")


def test_names_that_are_not_unicode_pass_through():
    name = b"/w/\xff".decode("utf-8", "surrogateescape")
    assert b"/w/\xff\0" in TOOL.arguments(launch(operations=(Bind(name, name),)), seccomp=7, status=8, hold=hold)


@pytest.mark.parametrize("changes", [{"directory": "/w\0--bind"}, {"environment": {"A": "b\0--bind\0/\0/"}}])
def test_a_nul_cannot_smuggle_arguments(changes):
    with pytest.raises(HostError, match="NUL"):
        TOOL.arguments(launch(**changes), seccomp=7, status=8, hold=hold)


@pytest.mark.parametrize(
    ("operation", "arguments", "line"),
    [
        (Bind("/a", "/a"), ("--ro-bind", "/a", "/a"), "read-only  /a"),
        (Bind("/a", "/b", writable=True), ("--bind", "/a", "/b"), "read-write /b  (from /a)"),
        (File("/etc/hosts", b"12345"), ("--perms", "0444", "--file", "105", "/etc/hosts"), "file       /etc/hosts"),
        (Symlink("usr/bin", "/bin"), ("--symlink", "usr/bin", "/bin"), "link       /bin -> usr/bin"),
        (Fresh("/tmp", "1777"), ("--perms", "1777", "--tmpfs", "/tmp"), "fresh      /tmp"),
        (Directory("/d"), ("--perms", "0755", "--dir", "/d"), "directory  /d"),
        (Hide("/w/.env", "/e"), ("--ro-bind", "/e", "/w/.env"), "hidden     /w/.env"),
        (Seal("/"), ("--remount-ro", "/"), "sealed     /"),
        (Kernel("proc", "/proc"), ("--proc", "/proc"), "new proc   /proc"),
    ],
)
def test_operations_read_the_same_for_people_and_for_bubblewrap(operation, arguments, line):
    assert operation.arguments(hold) == arguments
    assert operation.describe() == line


class TestFind:
    def install(self, directory: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
        for name, output in programs.items():
            file = directory / name
            file.write_text(f"#!/bin/sh\necho {output}\n")
            file.chmod(0o755)
        monkeypatch.setattr(host_programs, "SYSTEM_PATH", str(directory))

    def test_a_recent_one_is_taken(self, tmp_path, monkeypatch):
        self.install(tmp_path, monkeypatch, bwrap="bubblewrap 0.8.0", setsid="x")
        assert bubblewrap.find(tmp_path / "memory").path == str(tmp_path / "bwrap")

    def test_an_older_one_cannot_forbid_user_namespaces(self, tmp_path, monkeypatch):
        self.install(tmp_path, monkeypatch, bwrap="bubblewrap 0.6.1", setsid="x")
        assert not bubblewrap.find(tmp_path / "memory").disable_userns

    def test_the_version_is_asked_for_once(self, tmp_path, monkeypatch):
        self.install(tmp_path, monkeypatch, bwrap="bubblewrap 0.8.0; echo >>$0.asked", setsid="x")
        assert bubblewrap.find(tmp_path / "memory") == bubblewrap.find(tmp_path / "memory")
        assert (tmp_path / "bwrap.asked").read_text() == "\n"

    @pytest.mark.parametrize("spoilt", ["", "0.8", "/x 1 2 3 4\n0.8", "\0", "a\nb\nc"])
    def test_a_memory_that_says_something_else_is_asked_about(self, tmp_path, monkeypatch, spoilt):
        self.install(tmp_path, monkeypatch, bwrap="bubblewrap 0.6.1", setsid="x")
        (tmp_path / "memory").write_text(spoilt)
        assert not bubblewrap.find(tmp_path / "memory").disable_userns

    def test_another_program_is_asked_again(self, tmp_path, monkeypatch):
        self.install(tmp_path, monkeypatch, bwrap="bubblewrap 0.8.0", setsid="x")
        bubblewrap.find(tmp_path / "memory")
        (tmp_path / "bwrap").unlink()
        self.install(tmp_path, monkeypatch, bwrap="bubblewrap 0.3.1", setsid="x")
        with pytest.raises(HostError, match="older"):
            bubblewrap.find(tmp_path / "memory")

    def test_a_memory_that_cannot_be_kept_is_an_error(self, tmp_path, monkeypatch):
        self.install(tmp_path, monkeypatch, bwrap="bubblewrap 0.8.0", setsid="x")
        with pytest.raises(HostError, match="cannot write"):
            bubblewrap.find(tmp_path / "missing" / "memory")

    @pytest.mark.parametrize(
        ("programs", "message"),
        [
            ({}, "not installed"),
            ({"bwrap": "bubblewrap 0.8.0"}, "setsid"),
            ({"bwrap": "bubblewrap 0.4.1", "setsid": "x"}, "older"),
            ({"bwrap": "hello", "setsid": "x"}, "version"),
        ],
    )
    def test_anything_else_is_an_error_with_a_way_out(self, tmp_path, monkeypatch, programs, message):
        self.install(tmp_path, monkeypatch, **programs)
        with pytest.raises(HostError, match=message) as caught:
            bubblewrap.find(tmp_path / "memory")
        assert caught.value.hint


class TestProbe:
    def tool(self, directory: Path, script: str) -> Bubblewrap:
        file = directory / "bwrap"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return Bubblewrap(str(file), "/usr/bin/setsid", disable_userns=False)

    def test_one_that_works_says_nothing(self, tmp_path):
        bubblewrap.probe(self.tool(tmp_path, "exit 0"))

    def test_one_that_does_not_is_quoted(self, tmp_path):
        tool = self.tool(tmp_path, "echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
        with pytest.raises(HostError, match="machine: No permissions to create new namespace"):
            bubblewrap.probe(tool)


class TestEmpties:
    def test_they_are_made_once_and_repaired(self, tmp_path):
        empties = system.Empties(tmp_path / "view")
        empties.make()
        file = Path(empties.file)
        before = file.stat().st_ino
        empties.make()
        assert file.stat().st_ino == before
        file.chmod(0o600)
        file.write_text("something")
        empties.make()
        assert file.read_bytes() == b""
        assert not stat.S_IMODE(file.stat().st_mode) & 0o222
        assert list(Path(empties.directory).iterdir()) == []

    def test_a_place_that_cannot_be_written_is_an_error(self, tmp_path):
        (tmp_path / "view").write_text("a file")
        with pytest.raises(HostError, match="cannot write"):
            system.Empties(tmp_path / "view").make()


class TestBase:
    def operations(self, tmp_path: Path) -> list[object]:
        return list(system.base(system.Empties(tmp_path), "/state/homes/x"))

    def test_files_of_etc_are_as_on_the_host_or_our_own(self, tmp_path):
        files = {each.path: each.content for each in self.operations(tmp_path) if isinstance(each, File)}
        assert files["/etc/passwd"].startswith(b"agent:x:1000:1000:")
        assert files["/etc/os-release"] == Path("/etc/os-release").read_bytes()
        assert "/etc/shadow" not in files

    def test_a_directory_of_etc_with_hardly_anything_in_it_is_copied(self, tmp_path):
        small = tmp_path / "small"
        (small / "below").mkdir(parents=True)
        (small / "below" / "b.conf").write_bytes(b"b")
        (small / "a.conf").write_bytes(b"a")
        (small / "link").symlink_to("../elsewhere")
        assert system.directory(str(small)) == [
            Directory(f"{small}"),
            File(f"{small}/a.conf", b"a"),
            Directory(f"{small}/below"),
            File(f"{small}/below/b.conf", b"b"),
            Symlink("../elsewhere", f"{small}/link"),
        ]

    @pytest.mark.parametrize("other", ["many", "program", "large", "pipe", "deep"])
    def test_any_other_is_shown_as_it_is(self, tmp_path, other):
        place = tmp_path / "other"
        place.mkdir()
        if other == "many":
            for number in range(9):
                (place / str(number)).touch()
        elif other == "program":
            (place / "run").touch(0o755)
        elif other == "large":
            (place / "large").write_bytes(bytes(1 << 17))
        elif other == "pipe":
            os.mkfifo(place / "pipe")
        else:
            (place / "a/b/c/d/e/f/g/h/i").mkdir(parents=True)
            (place / "a/b/c/d/e/f/g/h/i/file").touch()
        assert system.directory(str(place)) == [Bind(str(place), str(place))]

    def test_a_link_to_a_directory_is_shown_as_what_it_leads_to(self, tmp_path):
        (tmp_path / "there").mkdir()
        (tmp_path / "there" / "run").touch(0o755)
        (tmp_path / "link").symlink_to("there")
        assert system.directory(str(tmp_path / "link")) == [Bind(str(tmp_path / "there"), str(tmp_path / "link"))]

    def test_nothing_of_the_host_is_writable_but_the_home(self, tmp_path):
        writable = [each for each in self.operations(tmp_path) if isinstance(each, Bind) and each.writable]
        assert writable == [Bind("/state/homes/x", "/home/agent", writable=True)]

    @pytest.mark.parametrize(
        "path", ["/", "/sys", "/run", "/etc", "/etc/shadow", "/etc/ssl", "/etc/ssl/private", "/var", "/home"]
    )
    def test_what_is_never_shown(self, tmp_path, path):
        assert path not in {each.source for each in self.operations(tmp_path) if isinstance(each, Bind)}

    def test_the_kernels_settings_are_read_only_even_for_root(self, tmp_path):
        operations = self.operations(tmp_path)
        proc = operations.index(Kernel("proc", "/proc"))
        assert operations.index(Bind("/proc/sys", "/proc/sys")) > proc
