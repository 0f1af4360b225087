"""``{file: PATH}``: a file's content, without the line end."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core import SecretUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.policy import SecretSpec

MAX_SIZE: Final = 64 * 1024
"""Octets; a secret is not larger, and a device or a log must not fill our memory."""


def read(spec: SecretSpec, environment: Mapping[str, str]) -> bytes:
    """The file's content. A file that others may read is refused: it is no secret."""
    path = Path(str(spec.argument))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SecretUnavailable(spec.name, f"cannot read {path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SecretUnavailable(spec.name, f"{path} is not a regular file")
        if status.st_mode & 0o007:
            raise SecretUnavailable(spec.name, f"{path} can be read or written by everybody", hint=f"chmod 600 {path}")
        value = os.read(descriptor, MAX_SIZE + 1)
    except OSError as error:
        raise SecretUnavailable(spec.name, f"cannot read {path}: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(value) > MAX_SIZE:
        raise SecretUnavailable(spec.name, f"{path} is larger than {MAX_SIZE} bytes")
    value = value.rstrip(b"\r\n")
    if not value:
        raise SecretUnavailable(spec.name, f"{path} is empty")
    return value
