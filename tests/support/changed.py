"""Copies of objects that cannot be changed."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

T = TypeVar("T")


def values(thing: object) -> dict[str, Any]:
    """The attributes of an object that is made from them."""
    return {name: getattr(thing, name) for name in inspect.signature(type(thing)).parameters}


def changed(thing: T, **changes: object) -> T:
    """``thing`` as it would be if it had been made with ``changes``."""
    return type(thing)(**values(thing) | changes)
