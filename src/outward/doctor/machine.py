"""What the kernel offers: read, or tried in an empty cage."""

from __future__ import annotations

import fcntl
import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward import kernel
from outward.cage import MODULES, PLAIN_PORTS, Cage, Command, obstacles
from outward.core import HostError
from outward.doctor.finding import Finding
from outward.isolation import seccomp
from outward.isolation.cgroups import CONTROLLERS, survey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outward.isolation.cgroups import Place

_KVM: Final = Path("/dev/kvm")
_KVM_GET_API_VERSION: Final = 0xAE00
_NO_OVERLAY: Final = (
    "Review mode needs it, in a user namespace: Linux 5.11 or newer, and its module (sudo modprobe overlay)."
)


def look_at_machine() -> Iterator[Finding]:
    """One finding after the other."""
    yield _kernel()
    yield _user_namespaces()
    yield _packet_filter()
    yield _groups(survey())
    yield _overlay()
    yield _virtualization()


def _kernel() -> Finding:
    found = f"Linux {os.uname().release}, {platform.machine()}"
    try:
        seccomp.architecture()
    except HostError as error:
        return Finding("kernel", False, f"{found}: {error.message}", error.hint)
    return Finding("kernel", True, found)


def _user_namespaces() -> Finding:
    for file, hint in obstacles():
        if os.geteuid() != 0 or "max_" in file:  # the other settings are for users
            return Finding("user namespaces", False, f"forbidden by {file}", hint)
    return Finding("user namespaces", True, "allowed, as far as settings go")


def _packet_filter() -> Finding:
    name = "packet filter"
    try:
        with Cage.open(Command(("/bin/true",))) as cage:
            every_port = cage.sockets.take_every_port
    except HostError as error:
        return Finding(name, False, error.message, error.hint or "Nothing runs in a sandbox until that works.")
    if every_port:
        return Finding(name, True, "nf_tables brings every connection in a sandbox to the gateway")
    ports = ", ".join(map(str, PLAIN_PORTS))
    found = f"the kernel has no nf_tables: programs that use no proxy reach ports {ports} alone"
    return Finding(name, False, found, MODULES)


def _groups(place: Place) -> Finding:
    missing = sorted(CONTROLLERS.keys() - place.holds)
    if not missing:
        return Finding("control groups", True, place.describe())
    found = f"{place.describe()}; limits of {', '.join(missing)} cannot be held: {place.reason}"
    return Finding("control groups", False, found, place.remedy)


def _overlay() -> Finding:
    """Mounted, not looked for: the kernel loads the module with the first mount, also for a user."""
    name = "overlay file system"
    with tempfile.TemporaryDirectory(prefix="outward-doctor-") as directory:

        def lay_over() -> None:
            os.chdir(directory)
            for lower in ("one", "other"):
                Path(lower).mkdir()
            kernel.new_mount_namespace()
            kernel.mount("overlay", ".", "lowerdir=one:other,userxattr")

        remedy = ""
        try:
            with Cage.open(Command(("/bin/true",), prepare=lay_over)) as cage:
                remedy = _NO_OVERLAY
                cage.release()
        except HostError as error:
            return Finding(name, False, error.message, remedy or error.hint or _NO_OVERLAY)
    return Finding(name, True, "works, for review mode")


def _virtualization() -> Finding:
    """Opening it says that we may; whether guests start only a guest can tell: see the backend microvm's finding."""
    name = "KVM"
    slow = "Without it virtual machines are emulated, many times slower."
    if not _KVM.exists():
        return Finding(
            name, False, f"there is no {_KVM}", f"{slow} Turn on virtualization in the firmware, or nested in the host."
        )
    try:
        descriptor = os.open(_KVM, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return Finding(name, False, f"{_KVM}: {error.strerror}", f"{slow} sudo usermod -aG kvm USER, and log in again.")
    try:
        version = fcntl.ioctl(descriptor, _KVM_GET_API_VERSION)
    except OSError as error:
        return Finding(name, False, f"{_KVM} does not answer: {error.strerror}", slow)
    finally:
        os.close(descriptor)
    found = f"{_KVM} opens (version {version}); whether machines start with it, the backend microvm finds out"
    return Finding(name, True, found)
