"""Configurations for Firecracker: a machine without a network, which reaches the gateway by vsock.

Whatever a program in the machine sends to port 3128 of the host (vsock address 2) arrives at a unix socket beside Firecracker's
own, named after the port (Firecracker's docs/vsock.md); the gateway listens there. There is no other device to the outside.

:data:`SCHEMA` is our own description of the fields that we write, as ``FullVmConfiguration`` and what it refers to have them in
Firecracker's published interface (src/firecracker/swagger/firecracker.yaml, version 1.17), in terms of JSON Schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from outward.core import HostError
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_GUEST: Final = 3
"""The first vsock address that a machine may have."""

_ARGUMENTS: Final = "console=ttyS0 reboot=k panic=1 random.trust_cpu=on"

_TEXT: Final = {"type": str, "minLength": 1}
_FLAG: Final = {"type": bool}


class Machine(NamedTuple):
    """Files of the host, ``memory`` in MiB, ``cpus``, and the unix socket that Firecracker makes."""

    kernel: Path
    rootfs: Path
    memory: int
    cpus: int
    socket: Path


SCHEMA: Final[dict[str, Any]] = {
    "type": dict,
    "required": ("boot-source", "drives", "machine-config", "vsock", "entropy"),
    "properties": {
        "boot-source": {
            "type": dict,
            "required": ("kernel_image_path",),
            "properties": {"kernel_image_path": _TEXT, "boot_args": _TEXT},
        },
        "drives": {
            "type": list,
            "items": {
                "type": dict,
                "required": ("drive_id", "is_root_device"),
                "properties": {
                    "drive_id": _TEXT,
                    "is_root_device": _FLAG,
                    "is_read_only": _FLAG,
                    "path_on_host": _TEXT,
                },
            },
        },
        "machine-config": {
            "type": dict,
            "required": ("mem_size_mib", "vcpu_count"),
            "properties": {
                "mem_size_mib": {"type": int, "minimum": 1},
                "vcpu_count": {"type": int, "minimum": 1, "maximum": 32},
                "smt": _FLAG,
            },
        },
        # Ours is stricter than Firecracker's: a machine with an interface is refused.
        "network-interfaces": {"type": list, "maxItems": 0},
        "vsock": {
            "type": dict,
            "required": ("guest_cid", "uds_path"),
            "properties": {"guest_cid": {"type": int, "minimum": 3}, "uds_path": _TEXT},
        },
        "entropy": {"type": dict, "properties": {}},
    },
}


def configuration(machine: Machine) -> dict[str, Any]:
    """The configuration, checked. Raises :class:`HostError` for what Firecracker would not take."""
    made = {
        "boot-source": {"kernel_image_path": str(machine.kernel), "boot_args": _ARGUMENTS},
        "drives": [
            {
                "drive_id": "root",
                "is_root_device": True,
                "is_read_only": True,
                "path_on_host": str(machine.rootfs),
            }
        ],
        "machine-config": {"mem_size_mib": machine.memory, "vcpu_count": machine.cpus, "smt": False},
        "network-interfaces": [],
        "vsock": {"guest_cid": _GUEST, "uds_path": str(machine.socket)},
        "entropy": {},
    }
    if faults := list(check(made)):
        raise HostError("Firecracker would not take this configuration: " + "; ".join(faults))
    return made


def check(value: object, schema: Mapping[str, Any] = SCHEMA, where: str = "the configuration") -> Iterator[str]:
    """What is wrong with ``value``, a line each."""
    if type(value) is not schema["type"]:  # a flag is no number here
        yield f"{where} is no {schema['type'].__name__}"
    elif isinstance(value, dict):
        yield from (f"{where} lacks {name}" for name in schema.get("required", ()) if name not in value)
        for name, each in value.items():
            if name not in schema["properties"]:
                yield f"{where} has {name}, which is not known"
            else:
                yield from check(each, schema["properties"][name], name)
    elif isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            yield f"{where} has more than {schema['maxItems']} entries"
        for each in value if "items" in schema else ():
            yield from check(each, schema["items"], where)
    elif isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            yield f"{where} is empty"
    elif isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{where} is out of range"
