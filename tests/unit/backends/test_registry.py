from __future__ import annotations

from pathlib import Path

import pytest

from outward.backends import Place, find
from outward.core import HostError


@pytest.mark.parametrize("name", ["bubblewrap", "none"])
def test_an_image_is_not_ignored(name):
    with pytest.raises(HostError, match="takes no --image"):
        find(name, Place(Path("/nowhere"), {}, image="mine"))


@pytest.mark.parametrize("name", ["bubblewrap", "podman", "gvisor", "microvm", "none"])
def test_a_runtime_is_not_ignored(name):
    with pytest.raises(HostError, match="takes no --runtime"):
        find(name, Place(Path("/nowhere"), {}, runtime="runsc"))


def test_what_is_not_in_the_table_is_refused():
    with pytest.raises(HostError, match="not available"):
        find("chroot", Place(Path("/nowhere"), {}))
