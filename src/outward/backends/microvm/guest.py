"""What runs in the machine before the command: a shell of busybox as its first process.

It loads the drivers, mounts the view and what the kernel has to give, sets the addresses and the routes, starts the command as
the agent, passes signals on, and says how it ended. All that differs from one session to the next is in ``/plan``, a script that
it reads. Where it cannot go on, it says so and switches the machine off.
"""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING, Final

from outward.backends.microvm import routing
from outward.backends.microvm.cpio import file
from outward.isolation.operations import Bind, Directory, File, Fresh, Hide, Symlink, target_of
from outward.isolation.system import HOSTNAME, UID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outward.backends.microvm.cpio import Entry
    from outward.core import Limits
    from outward.isolation.launch import Launch
    from outward.isolation.operations import Operation

GATEWAY: Final = "10.0.2.2"
"""QEMU's name for the loopback of where it runs: the cage."""
RESOLVER: Final = "10.0.2.3"
ADDRESSES: Final = {"-4": ("10.0.2.15/24", GATEWAY), "-6": ("fec0::15/64", "fec0::2")}
"""Of the machine, and of QEMU's routers."""

FAILURES: Final = {
    # What the machine says when it cannot go on, and what that means.
    "view": "its kernel could not mount the view by 9p",
    "routes": "its kernel took no routing rules",
}

APPLETS: Final = (
    "cat", "chown", "chroot", "cp", "hostname", "insmod", "ip", "kill", "ln", "mkdir", "mkfifo", "mknod", "mount", "poweroff",
    "sh", "sleep", "stty", "sync", "touch",
)  # fmt: skip

NEEDED: Final = ("env", "prlimit", "setpriv", "setsid")
"""Programs in ``/usr/bin`` of the view by which the command is started."""

MODULES: Final = (
    # Drivers, in the order in which they need each other. Which of them a kernel has built in differs.
    "virtio_ring", "virtio", "virtio_mmio", "failover", "net_failover", "virtio_net", "virtio_console",
    "netfs", "fscache", "9pnet", "9pnet_virtio", "9p",
)  # fmt: skip

_NETWORK: Final = "\n".join(
    f"ip {family} addr add {address} dev eth0; ip {family} route add default via {router}"
    for family, (address, router) in ADDRESSES.items()
)

_AS_USER: Final = (
    *("/usr/bin/setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"),
    *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"),
)

INIT: Final = f"""#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in {" ".join(MODULES)}; do [ -e /modules/$module.ko ] && insmod /modules/$module.ko; done
. /plan
failed() {{ echo "failed $1" >&3; poweroff -f; }}

link() {{
  for port in /sys/class/virtio-ports/*; do [ -e $port/name ] && ln -sf /dev/${{port##*/}} /ports/$(cat $port/name); done
}}
[ "$terminal" ] && wanted=control || wanted="control in out err"
link
for name in $wanted; do
  until [ -c /ports/$name ]; do  # they come one by one, and a moment after their driver
    [ $((tries += 1)) -le 1000 ] || poweroff -f
    sleep 0.01
    link
  done
done
exec 3<>/ports/control

mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap view /view || failed view
mount --bind /view /new
mount -t tmpfs -o nosuid,mode=0755 dev /new/dev
mkdir -m 1777 /new/dev/shm
mkdir /new/dev/pts
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /new/dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 shm /new/dev/shm
mknod -m 666 /new/dev/null c 1 3; mknod -m 666 /new/dev/zero c 1 5; mknod -m 666 /new/dev/full c 1 7
mknod -m 666 /new/dev/random c 1 8; mknod -m 666 /new/dev/urandom c 1 9; mknod -m 666 /new/dev/tty c 5 0
ln -s pts/ptmx /new/dev/ptmx; ln -s /proc/self/fd /new/dev/fd
ln -s fd/0 /new/dev/stdin; ln -s fd/1 /new/dev/stdout; ln -s fd/2 /new/dev/stderr
mount -t proc -o nosuid,nodev,noexec,hidepid=2 proc /new/proc
if [ "$terminal" ]; then
  mknod -m 620 /new/dev/hvc0 c 229 0
  chown {UID} /new/dev/hvc0
  exec 4<>/new/dev/hvc0  # stays open: whoever opens it first makes the driver forget its size, a moment later
fi
mounts

hostname {HOSTNAME}
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad  # nobody else is there to have the address
echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_ra
ip link set lo up
ip link set eth0 up
{_NETWORK}
/routing || failed routes

if [ "$terminal" ]; then
  stty $terminal <&4
  command </new/dev/hvc0 >/new/dev/hvc0 2>&1 3>&- 4>&- &
  pid=$!
else
  mkfifo /in /out /err
  cat /ports/in >/in 2>/dev/null &
  cat /out >/ports/out & out=$!
  cat /err >/ports/err & err=$!
  command </in >/out 2>/err 3>&- &
  pid=$!
fi
echo started >&3
while read -r number; do kill -$number -$pid || kill -$number $pid; done <&3 2>/dev/null &
wait $pid
status=$?
# At one stroke (kill(2), -1), as the user: to go from one to the next would let escape what is being started meanwhile. With a
# shell of ours, in a directory that only we write to: an image may have none.
rest() {{ cp /bin/sh /new/dev/sh && chroot /new {shlex.join(_AS_USER)} /dev/sh -c "kill -9 -1; exit 0" 2>/dev/null 3>&- 4>&-; }}
rest && {{ [ "$terminal" ] || wait $out $err; }}
sync
echo "ended $status" >&3
poweroff -f
"""


def files(plan: str) -> Iterator[Entry]:
    """What a machine starts with besides busybox and drivers. They come with each start: older kernels stay good."""
    yield file("init", INIT.encode(), 0o755)
    yield file("routing", routing.program(), 0o755)
    yield file("plan", plan.encode("utf-8", "surrogateescape"))


def plan(launch: Launch, limits: Limits, size: tuple[int, int]) -> str:
    """The script of one session. ``size`` is the terminal's, in rows and columns."""
    terminal = f"rows {size[0]} cols {size[1]}" if launch.terminal else ""
    return "\n".join(
        (
            f"terminal={shlex.quote(terminal)}",
            "mounts() {",
            *(f"  {line}" for line in _mounts(launch.operations)),
            "  :",
            "}",
            f"command() {{ exec {shlex.join(_command(launch, limits))}; }}",
            "",
        )
    )


def _command(launch: Launch, limits: Limits) -> Iterator[str]:
    yield from ("chroot", "/new", "/usr/bin/env", "-i", "--default-signal=INT,QUIT", f"--chdir={launch.directory}")
    yield from (f"{name}={to_gateway(value)}" for name, value in launch.environment.items())
    yield from ("/usr/bin/setsid", *(("--ctty",) if launch.terminal else ()))
    most = {"nofile": limits.files, "fsize": limits.disk, "nproc": limits.pids}
    held = [f"--{name}={value}" for name, value in most.items() if value is not None]
    if held:  # without any it lists what they are
        yield from ("/usr/bin/prlimit", *held, "--")
    yield from _AS_USER
    yield from launch.command


def to_gateway(text: str) -> str:
    """``text`` with the gateway's address as it is in the machine."""
    from outward.cage import PORT

    return text.replace(f"127.0.0.1:{PORT}", f"{GATEWAY}:{PORT}")


def _mounts(operations: Iterable[Operation]) -> Iterator[str]:
    """Directories in the machine's own memory, and over again what the view has below them."""
    fresh: list[str] = []
    shown: list[str] = []
    for operation in operations:
        if isinstance(operation, Fresh):
            if operation.path.startswith("/dev/"):
                continue
            fresh.append(operation.path)
            size = "" if operation.size is None else f",size={operation.size}"
            path = shlex.quote(f"/new{operation.path}")
            owner = f"uid={UID},gid={UID}"
            yield f"mount -t tmpfs -o nosuid,nodev,{owner},mode={operation.mode}{size} fresh {path}"
            continue
        target = target_of(operation)
        if not _lies_in(target, fresh) or _lies_in(target, shown):
            continue
        there, here = shlex.quote(f"/view{target}"), shlex.quote(f"/new{target}")
        parent = shlex.quote(posixpath.dirname(f"/new{target}"))
        if isinstance(operation, (Bind, Hide)):
            shown.append(target)
            yield f"mkdir -p {parent}; if [ -d {there} ]; then mkdir -p {here}; else touch {here}; fi"
            yield f"mount --bind {there} {here}"
        elif isinstance(operation, Directory):
            yield f"mkdir -p -m {operation.mode} {here}; chown {UID}:{UID} {here}"
        elif isinstance(operation, Symlink):
            yield f"mkdir -p {parent}; ln -s {shlex.quote(operation.target)} {here}"
        elif isinstance(operation, File):
            yield f"mkdir -p {parent}; cp {there} {here}"


def _lies_in(path: str, directories: Iterable[str]) -> bool:
    return any(path.startswith(f"{directory}/") for directory in directories)
