"""Bodies in signed chunks, as S3 takes them: each chunk is signed anew on its way.

The client signs its chunks with a placeholder, each with the signature of the one before. Sizes stay as they are, and a
signature is as long as another, so the length that was announced holds.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and …/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from outward.core import ClientError
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CHUNK: Final = 1024 * 1024
"""Octets of a chunk, which is held until all of it is here: its signature comes before it. Clients use 64 to 128 KiB."""

MAX_TRAILERS: Final = 16 * 1024

_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,8});chunk-signature=[0-9A-Fa-f]{64}\r\n")
_LONGEST_LINE: Final = 8 + len(";chunk-signature=") + 64 + 2
_TRAILER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e]*)\r\n")
_TRAILER_SIGNATURE: Final = b"x-amz-trailer-signature"
_NOTHING: Final = sha256(b"").hexdigest()


class Chain(NamedTuple):
    """What every link of the chain is signed with. ``sign`` signs a string, ``seed`` is the signature of the head."""

    sign: Callable[[str], str]
    timestamp: str
    scope: str
    seed: str


class SignedChunks:
    """The :class:`~outward.credentials.forms.signing.BodyFilter` of such a body; ``trailers``: some follow, signed."""

    def __init__(self, chain: Chain, *, trailers: bool) -> None:
        self._chain: Final = chain
        self._previous = chain.seed
        self._with_trailers: Final = trailers
        self._held = bytearray()
        self._size: bytes | None = None  # of the chunk that is being read, as its line says it
        self._last = False  # the chunk that says that there are no more has come
        self._trailers: list[tuple[bytes, bytes]] = []
        self._after = 0  # octets after it
        self._ended = False

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """What can be signed of it so far. Raises :class:`ClientError` for what is not such a body, or does not end."""
        self._held += data
        out: list[bytes] = []
        while self._held and (self._take_rest(out) if self._last else self._take(out)):
            pass
        if last and (self._held or not self._last or (self._with_trailers and not self._ended)):
            raise ClientError("the body in signed chunks is not complete")
        return b"".join(out)

    def _take(self, out: list[bytes]) -> bool:
        """A chunk's line, or the chunk itself. Whether there was all of it."""
        if self._size is None:
            match = _CHUNK_LINE.match(self._held)
            if match is None:
                if len(self._held) >= _LONGEST_LINE or b"\n" in self._held:
                    raise ClientError("the line of a signed chunk is malformed")
                return False
            self._size = match[1]
            if int(self._size, 16) > MAX_CHUNK:
                raise ClientError(f"a signed chunk has more than {MAX_CHUNK} octets", hint="Use smaller chunks.")
            self._cut(match.end())
        size = int(self._size, 16)
        if size and len(self._held) < size + 2:
            return False
        if size and self._held[size : size + 2] != b"\r\n":
            raise ClientError("a signed chunk is longer than its size")
        chunk = self._cut(size)
        self._previous = self._sign("PAYLOAD", _NOTHING, sha256(chunk).hexdigest())
        out.append(b"%b;chunk-signature=%b\r\n" % (self._size, self._previous.encode()))
        if size:
            out += (chunk, self._cut(2))
        else:
            self._last = True
        self._size = None
        return True

    def _take_rest(self, out: list[bytes]) -> bool:
        """A line after the last chunk: a trailer, the signature of all of them, or nothing."""
        end = self._held.find(b"\n") + 1
        if self._after + (end or len(self._held)) > MAX_TRAILERS:
            raise ClientError("the trailers are too large")
        if not end:
            return False
        self._after += end
        line = self._cut(end)
        if line != b"\r\n":
            match = _TRAILER.fullmatch(line)
            if match is None or not self._with_trailers or self._ended:
                raise ClientError("what follows the last signed chunk is malformed")
            name, value = match[1].lower(), match[2].strip()
            if name == _TRAILER_SIGNATURE:
                self._ended = True
                signed = b"".join(b"%b:%b\n" % trailer for trailer in sorted(self._trailers))
                line = b"%b:%b\r\n" % (match[1], self._sign("TRAILER", sha256(signed).hexdigest()).encode())
            else:
                self._trailers.append((name, value))
        out.append(line)
        return True

    def _cut(self, size: int) -> bytes:
        piece = bytes(self._held[:size])
        del self._held[:size]
        return piece

    def _sign(self, what: str, *hashes: str) -> str:
        chain = self._chain
        return chain.sign(
            "\n".join((f"AWS4-HMAC-SHA256-{what}", chain.timestamp, chain.scope, self._previous, *hashes))
        )
