"""Certificates with their keys, from memory: the library takes files alone, and a key belongs on no disk."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def load_chain(context: ssl.SSLContext, certificates: bytes, key: bytes) -> None:
    """Has ``context`` present the first of ``certificates``, with those between it and the root. Both are PEM.

    Raises :class:`ssl.SSLError` for a key that is encrypted or another certificate's, :class:`OSError` where there is no /proc.
    """
    with ExitStack() as stack:
        # With a password of ours nobody is asked for one on the terminal.
        context.load_cert_chain(_file(certificates, stack), _file(key, stack), password="")


def _file(content: bytes, stack: ExitStack) -> str:
    descriptor = os.memfd_create("outward", os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    return f"/proc/self/fd/{descriptor}"
