"""Questions are read in one way or not at all."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.gateway.dns.message import AAAA, A, Outcome, Unreadable, parse_question

RECURSION = 0x0100
OPT = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


def encoded(name: str) -> bytes:
    return b"".join(bytes((len(label),)) + label.encode() for label in name.split(".") if label) + b"\0"


def question(
    name: str = "api.test",
    kind: int = A,
    *,
    flags: int = RECURSION,
    kin: int = 1,
    counts=(1, 0, 0, 0),
    rest: bytes = b"",
) -> bytes:
    return struct.pack("!6H", 77, flags, *counts) + encoded(name) + struct.pack("!HH", kind, kin) + rest


def header(message: bytes) -> tuple[int, ...]:
    return struct.unpack_from("!6H", message)


@pytest.mark.parametrize(
    ("name", "kind", "kind_name"),
    [
        ("api.test", A, "A"),
        ("API.Test", AAAA, "AAAA"),
        ("_x._tcp.api.test", 33, "SRV"),
        ("api.test", 65, "HTTPS"),
        ("api.test", 999, "TYPE999"),
        ("", 2, "NS"),
        ("a" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 61, A, "A"),
    ],
)
def test_a_question(name, kind, kind_name):
    found = parse_question(question(name, kind))
    assert (found.number, found.name, found.kind_name, found.edns) == (77, name, kind_name, False)


def test_an_answer_repeats_the_question_and_has_one_record():
    asked = question("aPi.test")
    answer = parse_question(asked).answer(Outcome.FOUND, bytes((198, 18, 0, 1)))
    assert header(answer) == (77, 0x8180, 1, 1, 0, 0)
    assert answer[12 : len(asked)] == asked[12:], "in the same spelling: some clients look at that"
    assert answer[len(asked) :] == b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc6\x12\0\x01"


def test_a_name_that_is_not_there():
    asked = question()
    answer = parse_question(asked).answer(Outcome.NO_SUCH_NAME)
    assert header(answer) == (77, 0x8183, 1, 0, 0, 0)
    assert answer[12:] == asked[12:]


def test_extensions_are_answered_in_kind():
    asked = question(counts=(1, 0, 0, 1), rest=OPT)
    answer = parse_question(asked).answer(Outcome.FOUND)
    assert header(answer)[5] == 1
    assert answer.endswith(OPT)
    padded = OPT[:-2] + b"\0\x06\0\x0c\0\x02\0\0"
    assert parse_question(question(counts=(1, 0, 0, 1), rest=padded)).edns


def test_a_version_of_extensions_that_is_not_known():
    later = b"\0" + struct.pack("!HHIH", 41, 1232, 0x00010000, 0)
    with pytest.raises(Unreadable) as caught:
        parse_question(question(counts=(1, 0, 0, 1), rest=later))
    assert caught.value.answer.endswith(b"\0" + struct.pack("!HHIH", 41, 1232, 1 << 24, 0))


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (question(flags=0x2800), Outcome.NOT_IMPLEMENTED),  # UPDATE
        (question(flags=0x0200), Outcome.MALFORMED),  # truncated
        (question(counts=(0, 0, 0, 0)), Outcome.MALFORMED),
        (question(counts=(2, 0, 0, 0), rest=encoded("b.test") + b"\0\1\0\1"), Outcome.MALFORMED),
        (question(counts=(1, 1, 0, 0)), Outcome.MALFORMED),
        (question(counts=(1, 0, 1, 0)), Outcome.MALFORMED),
        (question(counts=(1, 0, 0, 2), rest=OPT + OPT), Outcome.MALFORMED),
        (question(counts=(1, 0, 0, 1)), Outcome.MALFORMED),  # none there
        (question(counts=(1, 0, 0, 1), rest=OPT + b"x"), Outcome.MALFORMED),
        (question(counts=(1, 0, 0, 1), rest=b"\0" + struct.pack("!HHIH", 1, 1, 0, 0)), Outcome.MALFORMED),
        (question(rest=b"x"), Outcome.MALFORMED),
        (question(kin=3), Outcome.REFUSED),  # CHAOS
        (question()[:-1], Outcome.MALFORMED),
        (question()[:20], Outcome.MALFORMED),
        (question()[:12] + b"\xc0\x0c\0\1\0\1", Outcome.MALFORMED),  # points at itself
        (question()[:12] + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", Outcome.MALFORMED),
        (question()[:12] + b"\x03a.b\0\0\1\0\1", Outcome.MALFORMED),
        (question()[:12] + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", Outcome.MALFORMED),
    ],
)
def test_what_is_no_question_is_said_to_be_none(message, outcome):
    with pytest.raises(Unreadable) as caught:
        parse_question(message)
    assert header(caught.value.answer)[0] == 77
    assert header(caught.value.answer)[1] & 0x800F == 0x8000 | outcome
    assert header(caught.value.answer)[3] == 0


@pytest.mark.parametrize("message", [b"", b"\0" * 11, question(flags=0x8180)])
def test_what_must_not_be_answered(message):
    with pytest.raises(Unreadable) as caught:
        parse_question(message)
    assert caught.value.answer == b""


LABELS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="."), min_size=1, max_size=63)


@given(st.lists(LABELS, max_size=3), st.integers(0, 65535), st.booleans())
def test_every_question_is_read_as_it_was_written(labels, kind, edns):
    name = ".".join(labels)
    message = question(name, kind, counts=(1, 0, 0, int(edns)), rest=OPT if edns else b"")
    found = parse_question(message)
    assert (found.name, found.kind, found.edns) == (name, kind, edns)
    assert found.answer(Outcome.FOUND) == message[:2] + b"\x81\x80" + message[4:]


def read(data: bytes) -> None:
    """Whatever comes is a question, or is said to be none: nothing else happens, and answers are no amplifiers."""
    answer = b""
    try:
        found = parse_question(data)
        assert data[12:].startswith(found.section)
    except Unreadable as error:
        answer = error.answer
    assert len(answer) <= len(data) + len(OPT)


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda tail: question()[:12] + tail)))
def test_whatever_comes_is_a_question_or_none(data):
    read(data)


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_one_octet_changed_is_still_one_or_the_other(place, octet):
    data = bytearray(question(counts=(1, 0, 0, 1), rest=OPT))
    data[place % len(data)] = octet
    read(bytes(data))
