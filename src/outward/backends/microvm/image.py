"""The kernel and the first root file system of machines: made once from the distribution's packages, kept in the state directory.

The kernel's package and busybox come from where this machine's other packages come from, checked by apt; nothing is installed.
"""

from __future__ import annotations

import lzma
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.backends.microvm.cpio import Entry, archive, directory, file, link
from outward.backends.microvm.guest import APPLETS, MODULES
from outward.core import HostError
from outward.core.records import NamedTuple
from outward.isolation import programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

KERNEL: Final = "vmlinux"
INITRD: Final = "initrd"

_META: Final = "linux-image-amd64"
"""The generic kernel's package: that for clouds has no 9p."""
_BUSYBOX: Final = "busybox-static"
_XZ: Final = b"\xfd7zXZ\0"
_ELF: Final = b"\x7fELF"
_DIRECTORIES: Final = ("bin", "dev", "proc", "sys", "modules", "ports", "view", "new")
_ELSEWHERE: Final = (
    "It is made from Debian's packages: on another system put a kernel with 9p and an initrd there yourself."
)


class Image(NamedTuple):
    """Paths of both files."""

    kernel: Path
    initrd: Path


def find(state: Path) -> Image:
    """What was built. Raises :class:`HostError` with the way out where nothing was."""
    image = Image(state / "machine" / KERNEL, state / "machine" / INITRD)
    if not (image.kernel.is_file() and image.initrd.is_file()):
        raise HostError("there is no kernel for virtual machines yet", hint="Make one: outward image kernel")
    return image


def build(state: Path, proxies: Mapping[str, str], note: Callable[[str], None]) -> Image:
    """Fetches the packages and makes both files anew. ``note`` gets a line for each step, ``proxies`` are variables for apt.

    Raises :class:`HostError`.
    """
    place = state / "machine"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=place) as work:
            path = Path(work)
            package = _kernel_package(proxies)
            for name in (package, _BUSYBOX):
                note(f"fetching {name}")
                _unpack(name, path, proxies)
            note("unpacking the kernel")
            (path / KERNEL).write_bytes(uncompressed(_only(path.glob("boot/vmlinuz-*"), "kernel").read_bytes()))
            note("packing the drivers")
            (path / INITRD).write_bytes(archive(_entries(path)))
            for name in (INITRD, KERNEL):
                (path / name).replace(place / name)
    except OSError as error:
        raise HostError(f"cannot make a kernel in {place}: {error}") from error
    return find(state)


def uncompressed(kernel: bytes) -> bytes:
    """The ELF file in a bzImage (Documentation/x86/boot.rst), which QEMU starts without the machine unpacking it first.

    Raises :class:`HostError` where there is none that xz has packed.
    """
    start = kernel.find(_XZ)
    while start >= 0:
        try:
            content = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(kernel[start:])
        except lzma.LZMAError:  # the same octets, elsewhere
            content = b""
        if content.startswith(_ELF):
            return content
        start = kernel.find(_XZ, start + 1)
    raise HostError("the kernel is packed in a way that is not known", hint=_ELSEWHERE)


def _kernel_package(proxies: Mapping[str, str]) -> str:
    answer = _run("apt-cache", "depends", _META, environment=proxies)
    match = re.search(r"Depends: (linux-image-\S+)", answer)
    if match is None:
        raise HostError(f"the package {_META} is not known here", hint=f"Try `apt-get update`. {_ELSEWHERE}")
    return match[1]


def _unpack(package: str, directory: Path, proxies: Mapping[str, str]) -> None:
    before = set(directory.glob("*.deb"))
    _run("apt-get", "download", package, environment=proxies, cwd=directory)
    fetched = _only(set(directory.glob("*.deb")) - before, "package")
    _run("dpkg-deb", "--extract", str(fetched), str(directory), environment={}, cwd=directory)
    fetched.unlink()


def _run(name: str, *arguments: str, environment: Mapping[str, str], cwd: Path | None = None) -> str:
    path = programs.installed(name)
    if path is None:
        raise HostError(f"{name} is not installed", hint=_ELSEWHERE)
    variables = {**environment, "PATH": f"{programs.SYSTEM_PATH}:/usr/sbin:/sbin", "LC_ALL": "C"}
    done = subprocess.run([path, *arguments], capture_output=True, text=True, cwd=cwd, env=variables)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise HostError(f"{name} {arguments[0]} failed: {last}", hint=f"Try `apt-get update`. {_ELSEWHERE}")
    return done.stdout


def _entries(root: Path) -> Iterator[Entry]:
    for name in _DIRECTORIES:
        yield directory(name)
    busybox = _only((*root.glob("bin/busybox"), *root.glob("usr/bin/busybox")), "busybox")
    yield file("bin/busybox", busybox.read_bytes(), 0o755)
    for applet in APPLETS:
        yield link(f"bin/{applet}", "busybox")
    drivers = {path.name.partition(".")[0]: path for path in root.glob("**/lib/modules/**/*.ko*")}
    for name in MODULES:
        if name in drivers:
            yield file(f"modules/{name}.ko", _driver(drivers[name]))


def _driver(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".ko":
        return content
    if path.suffix != ".xz":
        raise HostError(f"the kernel's drivers are packed in a way that is not known ({path.suffix})", hint=_ELSEWHERE)
    return lzma.decompress(content)


def _only(paths: Iterable[Path], what: str) -> Path:
    """The one that a package was expected to hold."""
    found = [*paths]
    if len(found) != 1:
        raise HostError(f"there are {len(found)} files that could be the {what} in what was fetched", hint=_ELSEWHERE)
    return found[0]
