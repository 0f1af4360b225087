"""SHA-256 of little, for a program that has to start quickly.

:mod:`hashlib` loads OpenSSL's library, which takes 2 ms; Python's own functions are there at once. For much data, or for many
times, OpenSSL's are three times as fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

_MODULES: Final = ("_sha2", "_sha256", "hashlib")
"""Where the function is: in Python 3.12 and later, in 3.11, and in those that were built with OpenSSL's alone."""


def fingerprint(content: bytes) -> str:
    """The digest, in hexadecimal digits."""
    for name in _MODULES:
        try:
            module = import_module(name)
        except ModuleNotFoundError:
            continue
        return str(module.sha256(content).hexdigest())
    raise AssertionError("there is no Python without hashlib")
