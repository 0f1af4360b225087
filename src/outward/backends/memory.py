"""Files that are nowhere but in memory, for programs that are given a descriptor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import ExitStack


def memory_file(content: bytes, stack: ExitStack) -> int:
    """A descriptor to read ``content`` from, until ``stack`` ends."""
    descriptor = os.memfd_create("outward")
    stack.callback(os.close, descriptor)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
