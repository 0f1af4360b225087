"""The table of backends. Modules are loaded when they are asked for: starting is to be quick."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from outward.core import HostError

if TYPE_CHECKING:
    from outward.backends.protocol import Backend, Place

BACKENDS: Final[dict[str, str]] = {
    # The name in a policy, and the module whose `find(place)` gives the backend or says why there is none.
    "bubblewrap": "outward.backends.bubblewrap",
    "docker": "outward.backends.containers.docker",
    "podman": "outward.backends.containers.podman",
    "none": "outward.backends.unconfined",
    "gvisor": "outward.backends.gvisor",
    "microvm": "outward.backends.microvm",
}


def find(name: str, place: Place) -> Backend:
    """The backend ``name``. Raises :class:`HostError` where this machine does not have it."""
    module = BACKENDS.get(name)
    if module is None:
        raise HostError(f"the backend {name} is not available in this version", hint="Use --backend bubblewrap.")
    backend: Backend = import_module(module).find(place)
    return backend
