"""QEMU's command line."""

from __future__ import annotations

from typing import Final

from outward.backends.microvm.view import ROOT
from outward.core.records import NamedTuple

_QUIET: Final = (
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-display",
    "none",
    "-monitor",
    "none",
    "-serial",
    "none",
)
_CONFINED: Final = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


class Descriptors(NamedTuple):
    """Descriptors that QEMU inherits: the kernel, the first root file system, the control socket, and pipes for what the
    command writes."""

    kernel: int
    initrd: int
    control: int
    out: int
    err: int


class Machine(NamedTuple):
    """The size of a machine: ``memory`` in MiB, ``processors``; ``kvm`` or translated. ``khz`` is the clock of the host's."""

    memory: int
    processors: int
    kvm: bool
    khz: int


def argv(path: str, machine: Machine, descriptors: Descriptors, *, terminal: bool) -> tuple[str, ...]:
    """The command line. Standard input is the command's, or with ``terminal`` its terminal."""
    kernel, initrd, control, out, err = descriptors
    accelerator = ("kvm", "host") if machine.kvm else ("tcg,thread=multi", "max")
    return (
        path,
        *("-M", "microvm,x-option-roms=off,rtc=on", "-accel", accelerator[0], "-cpu", accelerator[1]),
        *("-m", str(machine.memory), "-smp", str(machine.processors)),
        *_QUIET,
        *("-kernel", f"/proc/self/fd/{kernel}", "-initrd", f"/proc/self/fd/{initrd}"),
        *("-append", _append(machine)),
        *("-fsdev", f"local,id=view,path={ROOT},security_model=none,multidevs=remap"),
        *("-device", "virtio-9p-device,fsdev=view,mount_tag=view"),
        *("-netdev", "user,id=cage,ipv4=on,ipv6=on", "-device", "virtio-net-device,netdev=cage"),
        *("-device", "virtio-serial-device"),
        *(_terminal() if terminal else _streams(out, err)),
        # The last, for ports come in this order: the machine waits for this one's name, and opens its console then.
        *("-chardev", f"socket,id=control,fd={control}", "-device", "virtserialport,chardev=control,name=control"),
        *("-sandbox", _CONFINED),
    )


def _streams(out: int, err: int) -> tuple[str, ...]:
    return (
        *("-add-fd", f"fd={out},set=1", "-add-fd", f"fd={err},set=2"),
        *("-chardev", "stdio,id=in,signal=off", "-device", "virtserialport,chardev=in,name=in"),
        *("-chardev", "file,id=out,path=/dev/fdset/1,append=on", "-device", "virtserialport,chardev=out,name=out"),
        *("-chardev", "file,id=err,path=/dev/fdset/2,append=on", "-device", "virtserialport,chardev=err,name=err"),
    )


def _terminal() -> tuple[str, ...]:
    return ("-chardev", "stdio,id=terminal,signal=off", "-device", "virtconsole,chardev=terminal")


def _append(machine: Machine) -> str:
    """The kernel's parameters. Translated processors miss the calibration of their clock under load, and the kernel then hangs:
    it is told what there is."""
    clock = "" if machine.kvm else f" no_timer_check tsc_early_khz={machine.khz} lpj={machine.khz * 4}"
    return f"quiet loglevel=0 reboot=t panic=-1 random.trust_cpu=on mitigations=off{clock}"
