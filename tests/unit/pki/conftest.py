"""Handshakes in memory, between a context of ours and a client that verifies."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from outward.pki import Authority

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def system_roots(tmp_path: Path) -> Path:
    """Stands for the distribution's file of roots."""
    path = tmp_path / "roots.crt"
    path.write_text("# no roots\n")
    return path


@pytest.fixture
def authority(tmp_path: Path, system_roots: Path) -> Authority:
    return Authority.open(tmp_path / "pki", system_bundles=(system_roots,))


def client_context(authority: Authority, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate_file))
    context.set_alpn_protocols(alpn)
    return context


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """The client's end of a finished handshake; raises what either end raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    finished: set[int] = set()
    for _ in range(6):
        for index, end in enumerate(ends):
            try:
                end.do_handshake()
                finished.add(index)
            except ssl.SSLWantReadError:
                continue
        if len(finished) == 2:
            return ends[0]
    raise AssertionError("the handshake did not end")
