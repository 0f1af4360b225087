from __future__ import annotations

import lzma
import socket
import subprocess

import pytest

from outward.backends.microvm import guest, image, qemu, routing, view
from outward.backends.microvm.qemu import Descriptors, Machine
from outward.backends.microvm.sandbox import MachineSandbox
from outward.core import HostError, Limits
from outward.isolation import operations
from outward.isolation.launch import Launch
from outward.isolation.operations import Bind, Device, Directory, File, Fresh, Hide, Kernel, Seal, Symlink

DESCRIPTORS = Descriptors(kernel=11, initrd=12, control=13, out=14, err=15)
MACHINE = Machine(memory=512, processors=2, kvm=False, khz=2_000_000)
NO_LIMITS = Limits()


def launch(*operations: object, **changes: object) -> Launch:
    values: dict[str, object] = {
        "command": ("ls", "it's"),
        "operations": operations,
        "environment": {"HTTPS_PROXY": "http://127.0.0.1:3128", "A": "$(touch /x)"},
        "directory": "/w",
        "terminal": False,
    }
    return Launch(**(values | changes))  # type: ignore[arg-type]


def words(machine: Machine = MACHINE, *, terminal: bool = False) -> str:
    return " ".join(qemu.argv("/usr/bin/qemu", machine, DESCRIPTORS, terminal=terminal))


class TestQemu:
    @pytest.mark.parametrize(
        "expected",
        [
            "-nodefaults",
            "-no-user-config",
            "-monitor none",
            "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-fsdev local,id=view,path=/guest,security_model=none",
            "-netdev user,id=cage,ipv4=on,ipv6=on",
            "-kernel /proc/self/fd/11 -initrd /proc/self/fd/12",
            "-m 512 -smp 2",
        ],
    )
    def test_what_every_machine_has(self, expected):
        assert expected in words()

    def test_a_translated_machine_is_told_the_clock(self):
        assert "tsc_early_khz=2000000 lpj=8000000" in words()
        assert "tsc_early_khz" not in words(MACHINE._replace(kvm=True))

    def test_the_accelerator(self):
        assert "-accel tcg" in words()
        assert "-accel kvm -cpu host" in words(MACHINE._replace(kvm=True))

    def test_streams_are_ports_and_a_terminal_is_a_console(self):
        assert "name=out" in words()
        assert "virtconsole" not in words()
        assert "virtconsole" in words(terminal=True)
        assert "name=out" not in words(terminal=True)

    def test_the_port_that_the_machine_waits_for_comes_after_its_console(self):
        assert words(terminal=True).index("virtconsole") < words(terminal=True).index("name=control")


class TestPlan:
    def plan(self, *operations: object, limits: Limits = NO_LIMITS, **changes: object) -> str:
        return guest.plan(launch(*operations, **changes), limits, (24, 80))

    def test_it_is_a_shell_script(self):
        text = self.plan(Fresh("/tmp", "1777"), Bind("/tmp/it's", "/tmp/it's"))
        assert subprocess.run(["sh", "-n"], input=text, text=True).returncode == 0

    def test_nothing_of_the_command_is_interpreted(self):
        last = self.plan().splitlines()[-1]
        assert "'A=$(touch /x)'" in last
        assert "'it'\"'\"'s'" in last

    def test_words_need_not_be_text(self):
        plan = self.plan(command=("echo", "\udcff"))
        assert b"\xff" in {entry.path: entry.content for entry in guest.files(plan)}["plan"]

    def test_the_gateway_is_where_the_machine_sees_it(self):
        assert "HTTPS_PROXY=http://10.0.2.2:3128" in self.plan()

    def test_the_command_has_no_capability_and_is_the_agent(self):
        for each in ("--reuid=1000", "--regid=1000", "--clear-groups", "--bounding-set=-all", "--no-new-privs"):
            assert each in self.plan()

    def test_limits_are_held_in_the_machine(self):
        assert "--nproc=9" in self.plan(limits=Limits(pids=9))
        assert "--nproc" not in self.plan()

    def test_directories_in_memory_are_the_machine_s_own(self):
        assert "mount -t tmpfs -o nosuid,nodev,uid=1000,gid=1000,mode=1777,size=4096 fresh /new/tmp" in self.plan(
            Fresh("/tmp", "1777", 4096)
        )

    def test_what_lies_below_them_is_shown_again(self):
        text = self.plan(Fresh("/tmp"), Bind("/tmp/w", "/tmp/w"), Hide("/tmp/w/.env", "/empty"), Bind("/w", "/w"))
        assert "mount --bind /view/tmp/w /new/tmp/w\n" in text
        assert ".env" not in text
        assert "/new/w" not in text

    def test_a_terminal_has_its_size(self):
        assert "terminal='rows 24 cols 80'" in self.plan(terminal=True)
        assert "terminal=''" in self.plan()


class TestView:
    def around(self, *operations: object, kvm: bool = False) -> list[object]:
        return list(view.around(operations, kvm=kvm))  # type: ignore[arg-type]

    def test_all_of_it_is_below_one_directory(self):
        found = self.around(Bind("/w", "/w", writable=True), Hide("/w/.env", "/empty"), Symlink("a", "/b"))
        assert found[-4:-1] == [
            Bind("/w", "/guest/w", writable=True),
            Hide("/guest/w/.env", "/empty"),
            Symlink("a", "/guest/b"),
        ]
        assert found[-1] == Seal("/")

    def test_the_machine_sees_no_proc_of_the_host(self):
        """By way of /proc/self/mem the machine could write QEMU's own memory."""
        found = self.around(Kernel("proc", "/proc"), Bind("/proc/sys", "/proc/sys"), Hide("/proc/kcore", "/empty"))
        assert [each for each in found if "/guest/proc" in str(each)] == [Directory("/guest/proc")]

    def test_kvm_is_there_only_where_it_is_used(self):
        assert Device("/dev/kvm") in self.around(kvm=True)
        assert not any(isinstance(each, Device) for each in self.around())

    def test_names_are_asked_of_qemu(self):
        content = {
            each.path: each.content for each in self.around(File("/etc/resolv.conf", b"")) if isinstance(each, File)
        }
        assert b"10.0.2.3" in content["/guest/etc/resolv.conf"]
        assert b"127.0.0.1" in content["/etc/resolv.conf"]

    def test_layers_stay_what_they_are(self):
        assert operations.Layered("/w") in self.around(operations.Layered("/w"))
        assert operations.Absent("/w/.env") in self.around(operations.Absent("/w/.env"))

    def test_an_operation_that_it_does_not_know_is_an_error(self):
        with pytest.raises(TypeError):
            self.around(object())


class TestImage:
    def test_the_kernel_is_found_in_its_packing(self):
        kernel = b"MZ" + b"\xfd7zXZ\0 not this" + lzma.compress(b"\x7fELF and so on") + b"rest"
        assert image.uncompressed(kernel) == b"\x7fELF and so on"

    @pytest.mark.parametrize("kernel", [b"", b"MZ", lzma.compress(b"no kernel"), b"\xfd7zXZ\0" * 3])
    def test_anything_else_is_refused(self, kernel):
        with pytest.raises(HostError):
            image.uncompressed(kernel)

    def test_drivers_are_unpacked_wherever_they_lie(self, tmp_path):
        for name, content in (
            ("usr/lib/modules/6/fs/9p.ko.xz", lzma.compress(b"9p")),
            ("lib/modules/6/virtio.ko", b"v"),
        ):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_bytes(content)
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/busybox").touch()
        entries = {entry.path: entry.content for entry in image._entries(tmp_path)}
        assert (entries["modules/9p.ko"], entries["modules/virtio.ko"]) == (b"9p", b"v")

    @pytest.mark.parametrize(
        "there", [(), ("bin/busybox", "usr/bin/busybox"), ("bin/busybox", "lib/modules/9p.ko.zst")]
    )
    def test_packages_that_hold_something_else_are_refused(self, tmp_path, there):
        for name in there:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        with pytest.raises(HostError):
            list(image._entries(tmp_path))

    def test_a_missing_image_names_the_way_out(self, tmp_path):
        with pytest.raises(HostError) as failure:
            image.find(tmp_path)
        assert "outward image kernel" in failure.value.hint


def test_the_first_process_is_a_shell_script():
    assert subprocess.run(["sh", "-n"], input=guest.INIT, text=True).returncode == 0


class Said:
    """QEMU, whose end is here, and a machine that said something."""

    def __init__(self, said: bytes, status: int = 0) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.send(said)
        self.status = status
        self.sandbox = MachineSandbox(self, ours, self)  # type: ignore[arg-type]

    def wait(self) -> int:
        return self.status

    def finish(self) -> None:
        pass


class TestEnd:
    def test_the_status_is_what_the_machine_said(self):
        assert Said(b"started\nended 7\n").sandbox.wait() == 7

    def test_a_machine_that_was_killed_has_said_nothing(self):
        assert Said(b"started\n", 137).sandbox.wait() == 137
        assert Said(b"started\n").sandbox.wait() == 125
        assert Said(b"", 1).sandbox.wait() is None

    @pytest.mark.parametrize(
        "said", [b"ended x\n", b"ended -1\n", b"ended \n", b"ended", b"failed \xff\n", b"\n" * 9000]
    )
    def test_whoever_has_taken_it_over_may_say_anything(self, said):
        assert Said(b"started\n" + said, 9).sandbox.wait() == 9

    def test_a_machine_that_could_not_begin_says_why(self):
        with pytest.raises(HostError, match="9p") as failure:
            Said(b"failed view\n").sandbox.wait()
        assert "outward image kernel" in failure.value.hint


class TestRouting:
    def test_the_lengths_are_filled_in(self):
        program = routing.program()
        assert program.startswith(b"\x7fELF")
        at = program.index(b"\xba") + 1
        assert len(program) == 120 + 92 + int.from_bytes(program[at : at + 4], "little")

    def test_it_comes_with_each_start(self):
        names = {entry.path: entry.mode & 0o111 for entry in guest.files("plan")}
        assert names == {"init": 0o111, "routing": 0o111, "plan": 0}


def first_steps(tmp_path, sleep: str) -> subprocess.CompletedProcess[str]:
    """What the machine's first process does about its ports, with another ``sleep``; char devices stand in for them."""
    lines = guest.INIT.partition("link() {")[1:]
    text = "".join(lines).partition("exec 3<>")[0]
    for name in ("sys", "late", "ports", "bin"):
        (tmp_path / name).mkdir()
    for device, name in (("null", "control"), ("zero", "in"), ("full", "out"), ("random", "err")):
        (tmp_path / "late" / device).mkdir()
        (tmp_path / "late" / device / "name").write_text(f"{name}\n")
    for name, script in (("sleep", sleep), ("poweroff", "kill $PPID")):
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    text = text.replace("/sys/class/virtio-ports", f"{tmp_path}/sys").replace(" /ports", f" {tmp_path}/ports")
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    return subprocess.run(
        ["sh", "-c", f"cd {tmp_path}; {text}\nls ports"], env=environment, capture_output=True, text=True
    )


def test_a_machine_waits_for_its_ports(tmp_path):
    """Without them the command would run, and nobody would hear of it."""
    done = first_steps(tmp_path, "mv $(ls -d late/* | head -1) sys")
    assert done.stdout.split() == ["control", "err", "in", "out"], done.stderr


def test_without_its_ports_a_machine_is_switched_off(tmp_path):
    done = first_steps(tmp_path, "true")
    assert done.stdout == ""
    assert done.returncode == -15
