from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from outward.core import HostError
from outward.isolation import firecracker
from outward.isolation.firecracker import Machine

MACHINE = Machine(Path("/m/vmlinux"), Path("/m/root.ext4"), 512, 2, Path("/run/vm/v.sock"))


def test_the_gateway_is_the_only_way_out():
    made = firecracker.configuration(MACHINE)
    assert made["network-interfaces"] == []
    assert made["vsock"] == {"guest_cid": 3, "uds_path": "/run/vm/v.sock"}


def test_the_root_is_read_only():
    assert [each["is_read_only"] for each in firecracker.configuration(MACHINE)["drives"]] == [True]


@pytest.mark.parametrize("change", [{"cpus": 0}, {"cpus": 33}, {"memory": 0}])
def test_a_machine_that_firecracker_would_not_take_is_refused(change):
    with pytest.raises(HostError):
        firecracker.configuration(MACHINE._replace(**change))


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ((), "nics", []),
        ((), "network-interfaces", [{"iface_id": "eth0", "host_dev_name": "tap0"}]),
        (("vsock",), "guest_cid", 2),
        (("vsock",), "guest_cid", True),
        (("vsock",), "uds_path", ""),
        (("boot-source",), "kernel_image_path", None),
        (("machine-config",), "vcpu_count", "2"),
        (("drives", 0), "is_root_device", 1),
    ],
)
def test_what_the_interface_does_not_have_is_found(where, key, value):
    made = deepcopy(firecracker.configuration(MACHINE))
    assert list(firecracker.check(made)) == []
    place = made
    for step in where:
        place = place[step]
    place[key] = value
    assert len(list(firecracker.check(made))) == 1


@pytest.mark.parametrize("key", ["boot-source", "drives", "machine-config", "vsock"])
def test_what_is_missing_is_found(key):
    made = firecracker.configuration(MACHINE)
    del made[key]
    assert list(firecracker.check(made)) == [f"the configuration lacks {key}"]
