"""What every sandbox sees of the operating system.

System directories read-only, the few files of ``/etc`` that programs need, generated ones where the host's would tell too
much or lead out, and nothing else: no ``/sys``, no ``/run`` of the host and therefore none of its sockets.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.isolation.operations import Bind, Directory, File, Fresh, Hide, Kernel, Seal, Symlink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from outward.isolation.operations import Operation

HOME: Final = "/home/agent"
USER: Final = "agent"
UID: Final = 1000
HOSTNAME: Final = "outward"

OWN: Final = "/etc/outward"
BUNDLE: Final = f"{OWN}/ca-bundle.pem"
CA: Final = f"{OWN}/ca.pem"

NOTHING: Final = (f"{OWN}/nothing", f"{OWN}/nowhere")
"""An empty file and an empty directory inside, for what has to be hidden later on."""

SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
"""Shown as they are on the host: a directory read-only, a symbolic link as the same link."""

VISIBLE: Final = (*SYSTEM, "/etc/alternatives")
"""Where a program, or a link to one, may lie and be found in every sandbox."""

HIDDEN: Final = ("/usr/etc/npmrc", "/usr/local/etc/npmrc")
"""Files below the system directories in which clients keep credentials for the whole machine."""

ETC: Final = (
    # Files and directories of /etc that programs read to start, to find their libraries, to know what the roots of trust
    # are, or to render text. Nothing with credentials may live here: no ssl/private, no pip.conf, no npmrc, no gitconfig.
    "alternatives",
    "bash.bashrc",
    "bash_completion.d",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "inputrc",
    "java-*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.preload",
    "locale.alias",
    "locale.conf",
    "localtime",
    "magic",
    "mime.types",
    "os-release",
    "perl",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "profile",
    "profile.d",
    "protocols",
    "python3*",
    "services",
    "shells",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
    "vimrc",
)

_FEW: Final = 8
"""Directories, files and links in what is copied."""
_SMALL: Final = 1 << 16
"""Octets of a file in it."""

SYSTEM_BUNDLES: Final = (
    # Where distributions keep all roots of trust in one file.
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
)

GENERATED: Final[dict[str, str]] = {
    # Our own files in /etc.
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
    "networks: files\nprotocols: files\nservices: files\n",
    "hosts": f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n",
    "resolv.conf": "# Answered by the gateway: names that the policy knows, no others.\nnameserver 127.0.0.1\n",
    "host.conf": "multi on\n",  # all addresses of a name in the file above, not the first
    "hostname": f"{HOSTNAME}\n",
}


class Empties:
    """An empty file and an empty directory of ours on the host, to be shown in place of what is hidden."""

    def __init__(self, directory: Path) -> None:
        self._directory: Final = directory
        self.file: Final = str(directory / "empty-file")
        self.directory: Final = str(directory / "empty-directory")

    def make(self) -> None:
        """Makes them, or makes them right again. Raises :class:`HostError` where they cannot be written."""
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            Path(self.directory).mkdir(mode=0o555, exist_ok=True)
            file = Path(self.file)
            if not file.is_file() or file.stat().st_size:
                draft = file.with_name(f".{file.name}.{os.getpid()}")
                draft.touch(0o444)
                draft.replace(file)
        except OSError as error:
            raise HostError(f"cannot write to {self._directory}: {error.strerror}") from error


def base(empties: Empties, home: str, *, in_memory: int | None = None) -> Iterator[Operation]:
    """The operating system, in order. ``home`` is the directory of the host that is the agent's home inside.

    Each directory in memory may hold ``in_memory`` octets.
    """
    yield from programs(empties)
    yield from own_files()
    yield from _nothing()
    yield Kernel("proc", "/proc")
    yield from _quiet_proc(empties)
    yield Kernel("dev", "/dev")
    yield Fresh("/dev/shm", "1777", in_memory)  # noqa: S108 (the sandbox's own, as below)
    yield Seal("/dev")
    yield Fresh("/tmp", "1777", in_memory)  # noqa: S108
    yield Fresh("/run", size=in_memory)
    yield Fresh("/var", size=in_memory)
    yield Directory("/var/tmp", "1777")  # noqa: S108
    yield Bind(home, HOME, writable=True)


def beside_image(home: str, *, in_memory: int | None = None) -> Iterator[Operation]:
    """What is ours in a sandbox with a kernel of its own that shows an image's programs. ``home`` and ``in_memory`` as above."""
    yield from own_files()
    yield from _nothing()
    yield Kernel("proc", "/proc")
    yield Kernel("dev", "/dev")
    yield Fresh("/dev/shm", "1777", in_memory)  # noqa: S108 (the sandbox's own, as below)
    yield Fresh("/tmp", "1777", in_memory)  # noqa: S108
    yield Fresh("/run", size=in_memory)
    yield Fresh("/var/tmp", "1777", in_memory)  # noqa: S108
    yield Bind(home, HOME, writable=True)


def programs(empties: Empties) -> Iterator[Operation]:
    """The host's programs, and what they need of its ``/etc``."""
    yield from shown()
    for path in filter(os.path.isfile, HIDDEN):
        yield Hide(path, empties.file)
    yield from _etc()


def shown() -> Iterator[Operation]:
    """The system's own directories and nothing else."""
    for path in SYSTEM:
        yield from _as_on_host(path)


def own_files(uid: int = UID, gid: int = UID) -> Iterator[Operation]:
    """Our own files of ``/etc``. ``uid`` and ``gid`` are who the agent is inside."""
    # The agent comes first: should it be 0, that is its name all the same.
    users = (
        f"{USER}:x:{uid}:{gid}:agent:{HOME}:/bin/sh\nroot:x:0:0:root:/root:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    groups = f"{USER}:x:{gid}:\nroot:x:0:\nnogroup:x:65534:\n"
    for name, text in {"passwd": users, "group": groups, **GENERATED}.items():
        yield File(f"/etc/{name}", text.encode())


def _nothing() -> Iterator[Operation]:
    yield File(NOTHING[0], b"")
    yield Directory(NOTHING[1], "0555")


def last() -> Iterator[Operation]:
    """What comes after everything else: nothing can be created beside what was mounted."""
    yield Seal("/")


def _as_on_host(path: str) -> Iterator[Operation]:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        yield Symlink(os.readlink(path), path)  # noqa: PTH115 (the text of the link, not a path)
    else:
        yield Bind(path, path)


def _etc() -> Iterator[Operation]:
    for path in _of_etc():
        if os.path.isdir(path):  # noqa: PTH112 (start-up)
            yield from directory(path)
        else:
            with suppress(OSError):  # a link that leads nowhere, or not for us to read
                yield File(path, Path(path).read_bytes())
    yield Symlink("/proc/mounts", "/etc/mtab")


def _of_etc() -> Iterator[str]:
    names = sorted(os.listdir("/etc"))  # noqa: PTH208 (start-up)
    for pattern in ETC:
        if pattern.endswith("*"):
            yield from (f"/etc/{name}" for name in names if name.startswith(pattern[:-1]))
        elif os.path.lexists(path := f"/etc/{pattern}"):
            yield path


def directory(path: str) -> Sequence[Bind | Directory | File | Symlink]:
    """A directory of the host; copied where there is hardly anything in it, for the same reason as a :class:`File`."""
    shown = [Bind(os.path.realpath(path), path)]
    copied: list[Directory | File | Symlink] = [Directory(path)]
    try:
        for each in copied:  # grows meanwhile
            if isinstance(each, Directory):
                with os.scandir(each.path) as entries:
                    for entry in entries:
                        if len(copied) == _FEW or (copy := _copy(entry)) is None:
                            return shown
                        copied.append(copy)
    except OSError:  # not all of it is for us to read: inside, that is for the kernel to say
        return shown
    return sorted(copied, key=lambda each: each.path)


def _copy(entry: os.DirEntry[str]) -> Directory | File | Symlink | None:
    if entry.is_symlink():
        return Symlink(os.readlink(entry.path), entry.path)  # noqa: PTH115 (the text of the link, not a path)
    if entry.is_dir():
        return Directory(entry.path)
    status = entry.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o111 or status.st_size > _SMALL:
        return None
    return File(entry.path, Path(entry.path).read_bytes())


def trust(files: Mapping[str, str], bundle: str, ca: str) -> Iterator[Operation]:
    """Shows ``files`` (name to text) and the certificate files in ``/etc/outward``, and ``bundle`` in place of the system's
    own bundles as well, for the clients that no variable can point elsewhere."""
    for name, text in files.items():
        yield File(f"{OWN}/{name}", text.encode())
    yield Bind(bundle, BUNDLE)
    yield Bind(ca, CA)
    for path in SYSTEM_BUNDLES:
        if os.path.isfile(path):  # noqa: PTH113 (start-up)
            yield Bind(bundle, os.path.realpath(path))


def _quiet_proc(empties: Empties) -> Iterator[Operation]:
    """Everything in /proc that is not about a process: read-only, and hidden where only root may read it.

    Permissions alone would do for an unprivileged user. Root's own files stay root's inside a user namespace that maps root,
    and the kernel then lets the sandbox write /proc/sys and /proc/sysrq-trigger.
    """
    for path, mode in _of_no_process():
        if stat.S_ISDIR(mode) or mode & 0o222:
            yield Bind(path, path)
    for path in roots_own():
        yield Hide(path, empties.file)


def roots_own() -> Iterator[str]:
    """Files of /proc that only root may read."""
    for path, mode in _of_no_process():
        if not stat.S_ISDIR(mode) and not mode & stat.S_IROTH:
            yield path


def _of_no_process() -> Iterator[tuple[str, int]]:
    """What is in /proc and not about a process, with its mode."""
    with os.scandir("/proc") as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if not entry.name.isdigit() and not entry.is_symlink():
                yield entry.path, entry.stat().st_mode
