"""``{env: NAME}``: a variable of the environment in which Outward was started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outward.core import SecretUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.policy import SecretSpec


def read(spec: SecretSpec, environment: Mapping[str, str]) -> bytes:
    """The variable's value."""
    name = str(spec.argument)
    value = environment.get(name, "")
    if not value:
        raise SecretUnavailable(
            spec.name,
            f"the variable {name} is not set",
            hint=f"Set {name} where you start outward, not in the sandbox.",
        )
    return value.encode("utf-8", "surrogateescape")
