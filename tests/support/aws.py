"""AWS as its clients see it: signatures are checked as its documents say, and moto's server does what is asked.

The check is written from the documents alone, and uses nothing of botocore, with which ours are made.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import re
import subprocess
from base64 import b64encode
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote
from zlib import crc32

from tests.conftest import CLIENTS
from tests.support.upstream import Seen, Upstream, answer, read_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import trustme

OWN_STORE = "http://store.corp.example:9000"
"""A store of objects that is none of AWS's."""

HASH = re.compile(r"[0-9a-f]{64}")
CHUNK = re.compile(rb"([0-9a-f]+);chunk-signature=([0-9a-f]{64})\r\n")


class Refused(Exception):
    """The signature is not good; the text is AWS's code for it."""


class Key(NamedTuple):
    secret: str
    token: str | None = None


class Claimed(NamedTuple):
    """What a request says about its signature, wherever it says so."""

    credential: str
    covered: list[str]
    signature: str
    timestamp: str
    token: str | None
    expires: int | None


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def claimed(seen: Seen) -> Claimed:
    parameters = dict(parse_qsl(seen.target.partition("?")[2], keep_blank_values=True))
    present = "X-Amz-Signature" in parameters
    headers = seen.all("authorization")
    if present + len(headers) != 1:
        raise Refused("MissingAuthenticationToken" if not present else "InvalidArgument")
    if present:
        return Claimed(
            parameters["X-Amz-Credential"],
            parameters["X-Amz-SignedHeaders"].split(";"),
            parameters["X-Amz-Signature"],
            parameters["X-Amz-Date"],
            parameters.get("X-Amz-Security-Token"),
            int(parameters["X-Amz-Expires"]),
        )
    algorithm, _, rest = headers[0].partition(" ")
    if algorithm != "AWS4-HMAC-SHA256":
        raise Refused("IncompleteSignature")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    token = seen.all("x-amz-security-token")
    covered = parts["SignedHeaders"].split(";")
    return Claimed(
        parts["Credential"], covered, parts["Signature"], seen["x-amz-date"], token[0] if token else None, None
    )


def check(seen: Seen, keys: Mapping[str, Key], now: datetime) -> str:
    """The id of the key that the request is signed with. Raises :class:`Refused`."""
    claim = claimed(seen)
    identity, day, region, service, end = claim.credential.rsplit("/", 4)
    key = keys.get(identity)
    if key is None or key.token != claim.token:
        raise Refused("InvalidAccessKeyId")
    made = datetime.strptime(claim.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    life = timedelta(seconds=claim.expires if claim.expires is not None else 900)
    if not made - timedelta(minutes=15) <= now <= made + life or day != claim.timestamp[:8] or end != "aws4_request":
        raise Refused("RequestTimeTooSkewed")
    if not {"host", *(name for name, _ in seen.headers if name.startswith("x-amz-"))} <= set(claim.covered):
        raise Refused("AccessDenied")
    payload = _payload(seen, claim, service)
    path, _, query = seen.target.partition("?")
    pieces = (tuple(map(unquote, piece.partition("=")[::2])) for piece in query.split("&") if piece)
    encoded = sorted((_encoded(name), _encoded(value)) for name, value in pieces if name != "X-Amz-Signature")
    canonical = "\n".join(
        (
            seen.method,
            "/".join(map(_encoded, (unquote(path) if service == "s3" else path).split("/"))),
            "&".join(f"{name}={value}" for name, value in encoded),
            *(f"{name}:{','.join(' '.join(value.split()) for value in seen.all(name))}" for name in claim.covered),
            "",
            ";".join(claim.covered),
            payload,
        )
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    signing = f"AWS4{key.secret}".encode()
    for part in (day, region, service, "aws4_request"):
        signing = _hmac(signing, part)

    def sign(*lines: str) -> str:
        return _hmac(signing, "\n".join((lines[0], claim.timestamp, scope, *lines[1:]))).hex()

    if sign("AWS4-HMAC-SHA256", sha256(canonical.encode()).hexdigest()) != claim.signature:
        raise Refused("SignatureDoesNotMatch")
    if payload.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"):
        _check_chunks(seen.body, claim.signature, sign, trailers=payload.endswith("-TRAILER"))
    return identity


def _payload(seen: Seen, claim: Claimed, service: str) -> str:
    given = seen.all("x-amz-content-sha256")
    actual = sha256(seen.body).hexdigest()
    if not given:
        return "UNSIGNED-PAYLOAD" if claim.expires is not None and service == "s3" else actual
    (payload,) = given
    if HASH.fullmatch(payload) and payload != actual:
        raise Refused("XAmzContentSHA256Mismatch")
    if not HASH.fullmatch(payload) and service != "s3":
        raise Refused("InvalidSignatureException")
    return payload


def _check_chunks(body: bytes, previous: str, sign, *, trailers: bool) -> None:
    nothing, at, size = sha256(b"").hexdigest(), 0, -1
    while size:
        match = CHUNK.match(body, at)
        if match is None:
            raise Refused("IncompleteBody")
        size = int(match[1], 16)
        data = body[match.end() : match.end() + size]
        previous = sign("AWS4-HMAC-SHA256-PAYLOAD", previous, nothing, sha256(data).hexdigest())
        if previous != match[2].decode() or len(data) != size:
            raise Refused("SignatureDoesNotMatch")
        at = match.end() + (size + 2 if size else 0)
    rest = body[at:].split(b"\r\n")
    lines = sorted(line for line in rest if line and not line.startswith(b"x-amz-trailer-signature:"))
    given = [line.partition(b":")[2].decode() for line in rest if line.startswith(b"x-amz-trailer-signature:")]
    hashed = sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    if given != ([sign("AWS4-HMAC-SHA256-TRAILER", previous, hashed)] if trailers else []):
        raise Refused("SignatureDoesNotMatch")


class Aws:
    """The :class:`~tests.support.upstream.Upstream` handler. ``keys`` are those that it knows; it learns what it gives."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.refused: list[str] = []
        self.signed_by: list[str] = []
        # It listens once it says so.
        self._process = subprocess.Popen(
            [str(CLIENTS / "moto_server"), "-H", "127.0.0.1", "-p", "0"],
            env=os.environ | {"MOTO_S3_CUSTOM_ENDPOINTS": OWN_STORE},  # else its host would be a bucket's
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self._port = next(
            int(match[1]) for line in self._process.stderr if (match := re.search(r"http://127\.0\.0\.1:(\d+)", line))
        )

    def create_bucket(self, host: str) -> None:
        """Asked of moto itself, by whoever sets things up."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=20)
        where = "<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>"
        connection.request("PUT", "/", where, {"host": host})
        assert connection.getresponse().status == 200
        connection.close()

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate()

    async def serve(self, server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await self._read(reader, writer)) is not None:
            server.seen.append(seen)
            try:
                self.signed_by.append(check(seen, self.keys, datetime.now(UTC)))
            except Refused as error:
                self.refused.append(str(error))
                writer.write(_refusal(seen, str(error)))
            else:
                writer.write(await self._do(seen))
            await writer.drain()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Seen | None:
        seen = await read_request(reader, body=False)
        if seen is None or seen.complete:
            return seen
        if seen.all("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if seen.all("transfer-encoding"):
            while size := int(await reader.readline(), 16):
                seen.body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        else:
            seen.body = await reader.readexactly(int((seen.all("content-length") or ["0"])[0]))
        return seen

    async def _do(self, seen: Seen) -> bytes:
        if seen["host"].startswith("bedrock"):  # moto has no models
            if "/invoke-with-response-stream" in seen.target:
                return answer(200, event_stream(), "content-type: application/vnd.amazon.eventstream\r\n")
            return answer(200, b'{"ok": true}', "content-type: application/json\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        dropped = {"connection", "transfer-encoding", "content-length", "expect"}
        fields = [f"{name}: {value}" for name, value in seen.headers if name not in dropped]
        fields += [f"content-length: {len(seen.body)}", "connection: close"]
        head = "\r\n".join((f"{seen.method} {seen.target} HTTP/1.1", *fields, "", ""))
        writer.write(head.encode("latin-1") + seen.body)
        raw = await reader.read()
        writer.close()
        found = (
            re.search(rb"<%b>([^<]+)</" % name, raw) for name in (b"AccessKeyId", b"SecretAccessKey", b"SessionToken")
        )
        match [part[1].decode() for part in found if part]:
            case [identity, secret, token]:
                self.keys[identity] = Key(secret, token)
        start, _, body = raw.partition(b"\r\n\r\n")
        lines = [
            line for line in start.split(b"\r\n") if not line.lower().startswith((b"connection:", b"content-length:"))
        ]
        if seen.method != "HEAD":
            lines.append(b"content-length: %d" % len(body))
        else:
            lines += [line for line in start.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        return b"\r\n".join((*lines, b"", body))


SAID = "Hello from the other side of the signature."


def event_stream() -> bytes:
    """What a model says, in the events of the Messages API, as Bedrock wraps them.

    https://smithy.io/2.0/aws/amazon-eventstream.html
    """
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test", "content": []}
    block = {"type": "text", "text": ""}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | {"stop_reason": None, "stop_sequence": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": SAID}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
    return b"".join(map(_framed, events))


def _framed(event: dict[str, Any]) -> bytes:
    fields = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
        for name, value in fields.items()
    )
    body = json.dumps({"bytes": b64encode(json.dumps(event).encode()).decode()}).encode()
    prelude = (len(head) + len(body) + 16).to_bytes(4, "big") + len(head).to_bytes(4, "big")
    message = prelude + crc32(prelude).to_bytes(4, "big") + head + body
    return message + crc32(message).to_bytes(4, "big")


def _refusal(seen: Seen, code: str) -> bytes:
    if any("json" in value for value in seen.all("content-type")):
        return answer(400, b'{"__type": "%b"}' % code.encode(), "content-type: application/x-amz-json-1.0\r\n")
    body = f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"
    if ".s3." in f".{seen['host']}":
        body = f"<Error><Code>{code}</Code></Error>"
    return answer(403, b"" if seen.method == "HEAD" else body.encode(), "content-type: application/xml\r\n")


@contextmanager
def served(ca: trustme.CA, *hosts: str) -> Iterator[tuple[Aws, Upstream]]:
    """AWS at ``hosts``, with certificates of ``ca``."""
    keeper = Aws()
    server = Upstream(ca, *hosts, handler=keeper.serve)
    yield keeper, server
    server.close()
    keeper.close()
