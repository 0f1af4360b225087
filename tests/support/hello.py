"""ClientHellos by hand: what OpenSSL's own client would never send."""

from __future__ import annotations

SNI, ALPN, ECH = 0, 16, 0xFE0D

GREASE_ECH = b"\0\0\x01\0\x01\x2a\0\x20" + b"\x5a" * 32 + b"\0\x90" + b"\xa5" * 144
"""outer, HKDF-SHA256 with AES-128-GCM, a configuration that nobody has: what browsers send everywhere (RFC 9849 §6.2)."""


def extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def server_name(name: bytes) -> bytes:
    entry = b"\0" + len(name).to_bytes(2, "big") + name
    return extension(SNI, len(entry).to_bytes(2, "big") + entry)


def protocols(*names: bytes) -> bytes:
    listed = b"".join(bytes([len(name)]) + name for name in names)
    return extension(ALPN, len(listed).to_bytes(2, "big") + listed)


def client_hello(*extensions: bytes) -> bytes:
    block = b"".join(extensions)
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + len(block).to_bytes(2, "big") + block
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message
