"""One function, whatever Python was built with."""

from __future__ import annotations

import hashlib

import pytest

from outward.core import fingerprint


@pytest.mark.parametrize("content", [b"", b"project", bytes(range(256)) * 99])
@pytest.mark.parametrize("without", [(), ("_sha2", "_sha256")])
def test_it_is_that_of_hashlib(monkeypatch, content, without):
    monkeypatch.setattr(fingerprint, "_MODULES", tuple(name for name in fingerprint._MODULES if name not in without))
    assert fingerprint.fingerprint(content) == hashlib.sha256(content).hexdigest()
