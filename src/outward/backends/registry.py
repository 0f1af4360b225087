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

_IMAGES: Final = frozenset({"docker", "gvisor", "microvm", "podman"})
"""Those that can show an image's programs in place of the host's."""

_RUNTIMES: Final = frozenset({"docker"})
"""Those whose engine has several runtimes."""


def find(name: str, place: Place) -> Backend:
    """The backend ``name``. Raises :class:`HostError` where this machine does not have it, or it shows no image."""
    module = BACKENDS.get(name)
    if module is None:
        raise HostError(f"the backend {name} is not available in this version", hint="Use --backend bubblewrap.")
    for option, asked, those in (("image", place.image, _IMAGES), ("runtime", place.runtime, _RUNTIMES)):
        if asked is not None and name not in those:
            raise HostError(f"the backend {name} takes no --{option}", hint=f"Those do: {', '.join(sorted(those))}.")
    backend: Backend = import_module(module).find(place)
    return backend
