"""The content codings, by the libraries that servers use."""

from __future__ import annotations

import gzip
import sys
import zlib
from functools import partial
from typing import TYPE_CHECKING

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": partial(gzip.compress, mtime=0),
    "x-gzip": partial(gzip.compress, mtime=0),
    "deflate": zlib.compress,
    "deflate without zlib's frame": raw_deflate,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
"""By name; what follows a space in it does not belong to the coding's."""


def inflated(data: bytes) -> Iterator[bytes]:
    """What ``data`` stands for, in each coding in which it is anything."""
    attempts: list[Callable[[bytes], bytes]] = [
        zlib.decompressobj(16 + zlib.MAX_WBITS).decompress,
        zlib.decompressobj().decompress,
        zlib.decompressobj(-zlib.MAX_WBITS).decompress,
        brotli.decompress,
        zstd.ZstdDecompressor().decompress,
    ]
    for attempt in attempts:
        try:
            yield attempt(data)
        except (zlib.error, brotli.error, zstd.ZstdError):
            continue


def flusher(coding: str) -> Callable[[bytes], bytes]:
    """A compressor that gives all of what it was fed, so that the other side can read it at once."""
    match coding:
        case "br":
            br = brotli.Compressor()
            return lambda data: bytes(br.process(data) + br.flush())
        case "zstd":
            zs = zstd.ZstdCompressor()
            return lambda data: zs.compress(data, zs.FLUSH_BLOCK)
    wbits = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
    engine = zlib.compressobj(wbits=wbits.get(coding, -zlib.MAX_WBITS))
    return lambda data: engine.compress(data) + engine.flush(zlib.Z_SYNC_FLUSH)
