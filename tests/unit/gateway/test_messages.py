"""gRPC's messages are scrubbed, and their ends are not held back."""

from __future__ import annotations

import gzip
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outward.core import UpstreamError
from outward.credentials.scrub import Scrubber
from outward.gateway.answer import Answer
from outward.gateway.http1 import parse_request, parse_response
from outward.gateway.messages import MAX_LET_GO, MAX_MESSAGE, MessageStream, are_messages, encoding_of
from tests.support.codings import ENCODERS

VALUE, STAND_IN = b"sk-ant-test-REAL-01", b"sk-ant-test-FAKE-01"
SCRUBBER = Scrubber([(VALUE, STAND_IN)])


def message(text: bytes, *, compressed: bool = False) -> bytes:
    return bytes([compressed]) + len(text).to_bytes(4, "big") + text


def test_the_end_of_a_message_passes() -> None:
    text = message(b"it ends like the key: sk-a")
    assert SCRUBBER.stream().feed(text) == text[:-4], "it would wait for more, which never comes"
    assert MessageStream(SCRUBBER).feed(text) == text


def test_a_long_beginning_of_the_secret_does_not() -> None:
    text = message(VALUE[:-1])
    stream = MessageStream(SCRUBBER)
    assert stream.feed(text) == text[:5]
    assert stream.feed(message(b"next")) == VALUE[:-1] + message(b"next"), "now it is known not to be one"


def test_a_server_that_ends_a_message_within_the_secret_gives_away_nothing_more() -> None:
    for cut in range(1, len(VALUE)):
        stream = MessageStream(SCRUBBER)
        begun = stream.feed((len(b"key: ") + cut).to_bytes(5, "big") + b"key: " + VALUE[:cut])
        assert begun[5:].removeprefix(b"key: ") in {b"", VALUE[: min(cut, MAX_LET_GO)]}
        with pytest.raises(UpstreamError):
            stream.feed(VALUE[cut:])


def test_a_secret_whose_beginning_is_a_length_is_found() -> None:
    text = b"\0" + VALUE + bytes(100)
    assert VALUE not in MessageStream(SCRUBBER).feed(text)


def test_compressed_messages_that_cannot_be_decoded_are_not_passed() -> None:
    packed = gzip.compress(b"who knows")
    for encoding, text in [
        ("", message(packed, compressed=True)),
        ("snappy", message(packed, compressed=True)),
        ("gzip", message(packed[:-1], compressed=True)),
        ("gzip", message(packed + b"x", compressed=True)),
        ("gzip", b"\2" + message(packed)[1:]),
        ("gzip", message(gzip.compress(bytes(MAX_MESSAGE + 1)), compressed=True)),
        ("gzip", b"\1" + (MAX_MESSAGE + 1).to_bytes(4, "big")),
    ]:
        stream = MessageStream(SCRUBBER, encoding)
        assert stream.feed(message(b"fine")) == message(b"fine")
        with pytest.raises(UpstreamError):
            stream.feed(text)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "br"])
@given(cuts=st.lists(st.integers(0, 300), max_size=8))
def test_compressed_messages_are_decoded_and_scrubbed(encoding: str, cuts: list[int]) -> None:
    texts = [b"the key is " + VALUE, b"", b"x" * 40 + VALUE[:9], b"last"]
    encode = ENCODERS[encoding]
    sent = b"".join(
        message(encode(text), compressed=True) + message(b"plain " + text) + message(text) for text in texts
    )
    stream = MessageStream(SCRUBBER, encoding)
    points = sorted({0, len(sent), *(cut % (len(sent) + 1) for cut in cuts)})
    out = b"".join(stream.feed(sent[start:end]) for start, end in itertools.pairwise(points)) + stream.finish()
    clean = [text.replace(VALUE, STAND_IN) for text in texts]
    assert out == b"".join(message(text) + message(b"plain " + text) + message(text) for text in clean)


def test_how_messages_are_compressed_is_said_once() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n%b\r\n"
    assert encoding_of(parse_response(head % b"grpc-encoding: gzip\r\n")) == "gzip"
    assert encoding_of(parse_response(head % b"grpc-encoding: identity\r\n")) == ""
    assert encoding_of(parse_response(head % b"grpc-encoding: gzip\r\nGRPC-Encoding: br\r\n")) == ""
    assert encoding_of(parse_response(head % b"")) == ""


texts = st.lists(
    st.one_of(st.binary(max_size=30), st.sampled_from([VALUE, b"", b"x" + VALUE, VALUE[:3], VALUE[:9]])), max_size=6
)


@given(texts, st.lists(st.integers(0, 300), max_size=8))
@example([VALUE, VALUE], [7, 30])
def test_cuts_make_no_difference(texts: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(map(message, texts))
    points = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    stream, out = MessageStream(SCRUBBER), b""
    for start, end in itertools.pairwise(points):
        out += stream.feed(whole[start:end])
    out += stream.finish()
    assert out == SCRUBBER.octets(whole)
    assert len(out) == len(whole)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/grpc", True),
        ("Application/gRPC+proto", True),
        ("application/grpc; x=1", True),
        ("application/grpc-web-text", False),
        ("application/json", False),
    ],
)
def test_what_are_messages(kind: str, expected: bool) -> None:
    head = parse_response(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode())
    assert are_messages(head) is expected


@pytest.mark.parametrize("done", [True, False])
def test_stand_ins_of_another_length_do_not_move_the_end_of_a_message(done: bool) -> None:
    head = parse_response(b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n\r\n")
    request = parse_request(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")
    text = message(b"the key is " + VALUE)
    other = Scrubber([(VALUE, b"PLACEHOLDER")])
    out = Answer(request, other, closes=False).begin(head, text, done=done, trailers="")
    assert message(b"the key is PLACEHOLDERxxxxxxxx") in out
