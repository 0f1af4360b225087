"""Answers written anew: whatever pieces they come in, the client reads the same."""

from __future__ import annotations

import itertools

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import UpstreamError
from outward.credentials.scrub import Scrubber
from outward.gateway.answer import Answer
from outward.gateway.http1 import body_reader, parse_request, parse_response, response_framing

VALUE, STAND_IN = b"sk-ant-test-REAL-01", b"sk-ant-test-FAKE-01"
SAME_LENGTH = Scrubber([(VALUE, STAND_IN)])
OTHER_LENGTH = Scrubber([(VALUE, b"PLACEHOLDER")])


def request(method: str = "GET", minor: int = 1) -> object:
    return parse_request(f"{method} / HTTP/1.{minor}\r\nHost: a\r\n\r\n".encode())


class Read:
    """What a client makes of the octets (llhttp)."""

    def __init__(self, octets: bytes) -> None:
        self.body = b""
        self.complete = False
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(octets)
        self.status = parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


def through(raw: bytes, cuts: list[int], scrubber: Scrubber | None, *, minor: int = 1) -> tuple[bytes, Answer]:
    """``raw`` is an upstream's answer, cut anywhere in its body."""
    head_size = raw.index(b"\r\n\r\n") + 4
    head, rest = parse_response(raw[:head_size]), raw[head_size:]
    reader = body_reader(response_framing(head, "GET"), UpstreamError)
    answer = Answer(request(minor=minor), scrubber, closes=False)  # type: ignore[arg-type]
    points = sorted({0, len(rest), *(cut % (len(rest) + 1) for cut in cuts)})
    out, begun = b"", False
    for start, end in itertools.pairwise(points) if len(points) > 1 else [(0, 0)]:
        payload, _ = reader.feed(rest[start:end])
        step = answer.more if begun else lambda p, **k: answer.begin(head, p, **k)
        out += step(payload, done=reader.done, trailers=getattr(reader, "trailers", ""))
        begun = True
    return out, answer


BODY = b"before " + VALUE + b" between " + VALUE + b" after"
KNOWN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize("scrubber", [None, SAME_LENGTH, OTHER_LENGTH])
@pytest.mark.parametrize("raw", [KNOWN, CHUNKED])
@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_cuts_make_no_difference(raw: bytes, scrubber: Scrubber | None, cuts: list[int]) -> None:
    out, answer = through(raw, cuts, scrubber)
    read = Read(out)
    assert read.complete
    assert read.body == (BODY if scrubber is None else scrubber.octets(BODY))
    assert answer.octets == len(read.body)
    assert not answer.closes
    assert (VALUE in read.body) is (scrubber is None)
    assert scrubber is None or VALUE not in out


@given(cuts=st.lists(st.integers(0, 200), min_size=1, max_size=6))
def test_a_client_of_http10_gets_no_chunks(cuts: list[int]) -> None:
    out, answer = through(CHUNKED, cuts, SAME_LENGTH, minor=0)
    assert b"transfer-encoding" not in out.lower()
    assert out.endswith(SAME_LENGTH.octets(BODY))
    assert answer.closes or b"content-length" in out


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "GZIP, identity"])
def test_a_compressed_answer_cannot_be_scrubbed(coding: str) -> None:
    raw = KNOWN.replace(b"\r\n\r\n", f"\r\nContent-Encoding: {coding}\r\n\r\n".encode(), 1)
    assert Read(through(raw, [], None)[0]).body == BODY, "without a secret it is none of our business"
    with pytest.raises(UpstreamError, match="compressed"):
        through(raw, [], SAME_LENGTH)


@pytest.mark.parametrize("field", ["Connect-Content-Encoding: gzip", "grpc-encoding: gzip"])
def test_messages_that_are_compressed_in_a_way_of_their_own(field: str) -> None:
    raw = KNOWN.replace(b"\r\n\r\n", f"\r\nContent-Type: application/grpc-web\r\n{field}\r\n\r\n".encode(), 1)
    assert Read(through(raw, [], None)[0]).body == BODY
    assert VALUE not in through(raw.replace(b": gzip", b": identity"), [], SAME_LENGTH)[0]
    with pytest.raises(UpstreamError, match="compressed"):
        through(raw, [], SAME_LENGTH)


def test_an_identity_coding_is_none() -> None:
    raw = KNOWN.replace(b"\r\n\r\n", b"\r\nContent-Encoding: identity\r\n\r\n", 1)
    assert VALUE not in through(raw, [], SAME_LENGTH)[0]


@pytest.mark.parametrize(("method", "status", "length"), [("HEAD", 200, b"7"), ("GET", 304, b"7"), ("GET", 204, None)])
def test_answers_without_a_body(method: str, status: int, length: bytes | None) -> None:
    head = parse_response(b"HTTP/1.1 %d X\r\nContent-Length: 7\r\n\r\n" % status)
    answer = Answer(request(method), SAME_LENGTH, closes=True)  # type: ignore[arg-type]
    out = answer.begin(head, b"", done=True, trailers="")
    assert (b"content-length: " + length in out) if length else (b"content-length" not in out)
    assert b"connection: close" in out


def test_interim_answers_are_not_for_http10() -> None:
    head = parse_response(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; key=sk-ant-test-REAL-01\r\n\r\n")
    shown = Answer(request(), SAME_LENGTH, closes=False).interim(head)  # type: ignore[arg-type]
    assert shown == b"HTTP/1.1 103 Early Hints\r\nLink: </a>; key=sk-ant-test-FAKE-01\r\n\r\n"
    assert Answer(request(minor=0), None, closes=False).interim(head) == b""  # type: ignore[arg-type]
