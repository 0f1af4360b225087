"""Content codings undone piece by piece (RFC 9110 §8.4.1). Without I/O, and in bounded memory.

A few octets of a hostile server's can stand for gigabytes, also in several layers. So nobody is handed all that comes out of
what came in: who wants more takes it, about :data:`PIECE` octets at a time.
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Final, Protocol

import brotli

from outward.core import UpstreamError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PIECE: Final = 64 * 1024
"""Octets that come out at once; br may give half as much again."""

MAX_CODINGS: Final = 3
"""Layers; nobody means more than one."""

_WINDOW: Final = {int(zstd.DecompressionParameter.window_log_max): 23}
"""8 MiB, which no answer may exceed (RFC 9659 §3)."""


class Decoder(Protocol):
    """Undoes one layer. What it raises of its library's errors, :class:`Decoding` translates."""

    @property
    def more(self) -> bool:
        """Whether :meth:`take` may give something before more is fed."""
        ...

    @property
    def complete(self) -> bool:
        """Whether what was fed is whole, all of it has been taken, and more of it could only be something new."""
        ...

    def feed(self, data: bytes) -> None:
        """More of what is encoded."""
        ...

    def take(self) -> bytes:
        """Some of what it stands for; perhaps nothing."""
        ...


class _Engine(Protocol):
    """What zlib and zstd have in common, after :class:`_Zlib`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """zlib's decompressor, with the manners of the newer ones."""

    __slots__ = ("_zlib", "needs_input")

    def __init__(self, wbits: int) -> None:
        self._zlib: Final = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        # With all input consumed, a match of which not all has been written may still be inside.
        self.needs_input = not self._zlib.unconsumed_tail and len(out) < max_length
        return out


class _Members:
    """A coding whose unit may come several times, one after the other: gzip (RFC 1952 §2.2) and zstd (RFC 8878 §3)."""

    __slots__ = ("_engine", "_input", "_make")

    def __init__(self, make: Callable[[], _Engine]) -> None:
        self._make: Final = make
        self._engine: _Engine | None = None
        self._input = b""

    @property
    def more(self) -> bool:
        return bool(self._input) or (self._engine is not None and not self._engine.needs_input)

    @property
    def complete(self) -> bool:
        return self._engine is None and not self._input

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self) -> bytes:
        if self._engine is None:
            self._engine = self._make()
        data, self._input = self._input, b""
        out = self._engine.decompress(data, PIECE)
        if self._engine.eof:
            self._input = self._engine.unused_data
            self._engine = None
        return out


class _Deflate:
    """deflate: zlib's format (RFC 1950), or what is inside of it alone, as servers of old have it (RFC 9110 §8.4.1.2)."""

    __slots__ = ("_engine", "_input")

    def __init__(self) -> None:
        self._engine: _Zlib | None = None
        self._input = b""

    @property
    def more(self) -> bool:
        engine = self._engine
        if engine is None:
            return len(self._input) >= 2
        return bool(self._input) or not (engine.needs_input or engine.eof)

    @property
    def complete(self) -> bool:
        return not self._input and (self._engine is None or self._engine.eof)

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self) -> bytes:
        if self._engine is None:
            if len(self._input) < 2:
                return b""
            first, second = self._input[0], self._input[1]
            zlibs = first & 0x0F == 8 and first >> 4 <= 7 and (first << 8 | second) % 31 == 0  # RFC 1950 §2.2
            self._engine = _Zlib(zlib.MAX_WBITS if zlibs else -zlib.MAX_WBITS)
        data, self._input = self._input, b""
        out = self._engine.decompress(data, PIECE)
        if self._engine.unused_data:
            raise _Surplus
        return out


class _Brotli:
    """br (RFC 7932)."""

    __slots__ = ("_begun", "_engine", "_full", "_input")

    def __init__(self) -> None:
        self._engine: Final = brotli.Decompressor()
        self._input = b""
        self._begun = False
        self._full = False  # the last piece was: then there may be more, or the end, although it accepts more data

    @property
    def more(self) -> bool:
        return bool(self._input) or self._full or not self._engine.can_accept_more_data()

    @property
    def complete(self) -> bool:
        return not self._input and (self._engine.is_finished() or not self._begun)

    def feed(self, data: bytes) -> None:
        self._begun = True
        self._input += data

    def take(self) -> bytes:
        data = b""
        if self._engine.can_accept_more_data():
            data, self._input = self._input, b""
            if data and self._engine.is_finished():
                raise _Surplus
        out: bytes = self._engine.process(data, output_buffer_limit=PIECE)
        self._full = len(out) >= PIECE
        return out


class _Surplus(Exception):
    """Octets follow the end."""


_DAMAGE: Final = (zlib.error, zstd.ZstdError, brotli.error, _Surplus)


def _gzip() -> Decoder:
    return _Members(lambda: _Zlib(16 + zlib.MAX_WBITS))


def _zstd() -> Decoder:
    return _Members(lambda: zstd.ZstdDecompressor(options=_WINDOW))


_DECODERS: Final[dict[str, Callable[[], Decoder]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _zstd,
}


class Decoding:
    """One body on its way through all of its codings."""

    __slots__ = ("_decoders",)

    def __init__(self, codings: Iterable[str]) -> None:
        """``codings`` in the order in which they were applied. Raises :class:`UpstreamError` for one that is unknown."""
        applied = list(codings)
        unknown = next((coding for coding in applied if coding not in _DECODERS), None)
        if unknown is not None:
            raise UpstreamError(
                f"the answer is encoded as {unknown[:20]!r}, which cannot be searched for secrets",
                hint="If this server never shows a credential, its destination may say `redact: false`.",
            )
        if len(applied) > MAX_CODINGS:
            raise UpstreamError(f"the answer is encoded {len(applied)} times over; the gateway undoes {MAX_CODINGS}")
        self._decoders: Final = [_DECODERS[coding]() for coding in reversed(applied)]

    @property
    def more(self) -> bool:
        """Whether :meth:`take` has something to do before more is fed."""
        return any(decoder.more for decoder in self._decoders)

    def feed(self, data: bytes) -> None:
        """More of what is encoded."""
        if data:
            self._decoders[0].feed(data)

    def take(self) -> bytes:
        """Some of what it stands for: about :data:`PIECE` octets, perhaps none even though there is more.

        Raises :class:`UpstreamError` for what is damaged.
        """
        # The layer that is nearest to the end works off what it has before it gets more: so no layer holds much.
        start = max(
            (place for place, decoder in enumerate(self._decoders) if decoder.more), default=len(self._decoders)
        )
        piece = b""
        try:
            for place in range(start, len(self._decoders)):
                if place > start:
                    self._decoders[place].feed(piece)
                piece = self._decoders[place].take()
                if not piece:
                    break
        except _DAMAGE as error:
            raise UpstreamError("the compressed answer is damaged") from error
        return piece

    def finish(self) -> None:
        """Nothing more comes, and all has been taken. Raises :class:`UpstreamError` if something is missing."""
        if not all(decoder.complete for decoder in self._decoders):
            raise UpstreamError("the compressed answer ended in the middle")
