"""A certificate and its key, presented from memory."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from outward.pki.chain import load_chain

DESCRIPTORS = Path("/proc/self/fd")


def test_a_key_and_its_certificate() -> None:
    leaf = trustme.CA().issue_cert("api.test")
    before = len(list(DESCRIPTORS.iterdir()))
    load_chain(_context(), leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes())
    assert len(list(DESCRIPTORS.iterdir())) == before


def test_the_key_of_another_certificate() -> None:
    leaf, other = (trustme.CA().issue_cert("api.test") for _ in range(2))
    with pytest.raises(ssl.SSLError):
        load_chain(_context(), leaf.cert_chain_pems[0].bytes(), other.private_key_pem.bytes())


def test_nobody_is_asked_for_the_password_of_a_key() -> None:
    leaf = trustme.CA().issue_cert("api.test")
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hidden"))
    with pytest.raises(ssl.SSLError):
        load_chain(_context(), leaf.cert_chain_pems[0].bytes(), locked)


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
