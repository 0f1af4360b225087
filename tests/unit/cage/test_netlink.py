"""Netlink's messages octet by octet, and what the kernel says to them."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.cage import rules
from outward.cage.netlink import ACKNOWLEDGE, Message, Netlink, Refused, attribute, nested


class Kernel:
    """A socket at whose other end is what a test says."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []

    def bind(self, address: tuple[int, int]) -> None:
        pass

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def recv(self, size: int, flags: int) -> bytes:
        if not self.answers:
            raise BlockingIOError
        return self.answers.pop(0)

    def close(self) -> None:
        pass


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    monkeypatch.setattr("outward.cage.netlink.socket.socket", lambda *_: kernel)
    return kernel


def said(sequence: int, code: int = 0, text: bytes = b"") -> bytes:
    """An acknowledgement, or an error with a copy of what it is about."""
    body = struct.pack("=i", -code) + bytes(16) + text
    return struct.pack("=IHHII", 16 + len(body), 2, 0, sequence, 0) + body + bytes(-len(body) % 4)


def test_attributes_are_padded():
    assert attribute(3, b"abcde") == struct.pack("=HH", 9, 3) + b"abcde\0\0\0"
    assert nested(4, attribute(1, b"")) == struct.pack("=HHHH", 8, 0x8004, 4, 1)


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=9)), max_size=5))
def test_attributes_can_be_read_again(pairs):
    data, found = b"".join(attribute(kind, value) for kind, value in pairs), []
    while data:
        length, kind = struct.unpack_from("=HH", data)
        found.append((kind, data[4:length]))
        data = data[length + -length % 4 :]
    assert found == pairs


def test_all_are_sent_at_once_and_numbered(kernel):
    kernel.answers = [said(1) + said(2)]
    Netlink(12).ask(
        [Message(16, b"begin", "a"), Message(7, b"x" * 8, "b", ACKNOWLEDGE), Message(8, b"", "c", ACKNOWLEDGE)]
    )
    (sent,) = kernel.sent
    assert struct.unpack_from("=IHHII", sent) == (21, 16, 1, 0, 0)


@pytest.mark.parametrize(
    "answers",
    [
        [said(0), said(1, errno.EPERM)],
        [said(0) + said(1, errno.EPERM)],
        [said(1, errno.EPERM, b"a copy of the message"), said(0)],
    ],
)
def test_what_is_refused_is_named(kernel, answers):
    kernel.answers = answers
    messages = [Message(1, b"", "the first", ACKNOWLEDGE), Message(2, b"", "the second", ACKNOWLEDGE)]
    with pytest.raises(Refused) as caught:
        Netlink(0).ask(messages)
    assert (caught.value.errno, caught.value.what) == (errno.EPERM, "the second")
    assert "the second: Operation not permitted" in str(caught.value)


def test_an_error_about_what_needs_no_answer_counts(kernel):
    kernel.answers = [said(0, errno.EOPNOTSUPP)]
    with pytest.raises(Refused, match="begin"):
        Netlink(0).ask([Message(1, b"", "begin"), Message(2, b"", "more", ACKNOWLEDGE)])


@pytest.mark.parametrize("answers", [[], [said(0)], [b""], [said(0), said(0)], [said(7)], [b"\0" * 16]])
def test_what_is_not_answered_was_not_done(kernel, answers):
    kernel.answers = answers
    messages = [Message(1, b"", "the first", ACKNOWLEDGE), Message(2, b"", "the second", ACKNOWLEDGE)]
    with pytest.raises(Refused) as caught:
        Netlink(0).ask(messages)
    assert caught.value.errno == errno.EPROTO


def test_answers_to_what_was_asked_before_are_nobodys(kernel):
    connection = Netlink(0)
    kernel.answers = [said(0, errno.EEXIST), said(1, errno.EEXIST)]
    messages = [Message(1, b"", "the first", ACKNOWLEDGE), Message(2, b"", "the second", ACKNOWLEDGE)]
    with pytest.raises(Refused):
        connection.ask(messages)
    kernel.answers += [said(2), said(3)]
    connection.ask(messages)


def load() -> bool:
    return rules.load(rules.IPV4, rules.IPV6, dns=53, transparent=3129)


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EAFNOSUPPORT])
@pytest.mark.parametrize("number", [0, 1])
def test_a_kernel_without_packet_filter_is_known_by_its_first_words(kernel, code, number):
    kernel.answers = [said(number, code)]
    assert load() is False


@pytest.mark.parametrize(
    ("number", "code"), [(0, errno.EPERM), (2, errno.EOPNOTSUPP), (2, errno.ENOENT), (5, errno.EINVAL)]
)
def test_any_other_refusal_is_an_error(kernel, number, code):
    """One that has a packet filter and lacks a part of it, too: half of the rules are none."""
    kernel.answers = [said(number, code)]
    with pytest.raises(Refused):
        load()


def test_a_kernel_that_lacks_the_protocol_has_no_packet_filter(monkeypatch):
    def lack(*_):
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    monkeypatch.setattr("outward.cage.netlink.socket.socket", lack)
    assert load() is False


def test_rules_of_an_earlier_gateway_are_removed_first(kernel):
    """Then everything is added once more; what the removal says is numbered behind what the first try said."""
    whole = 2 + 2 * 10
    kernel.answers = [said(1, errno.EEXIST)]
    kernel.answers += [said(whole + number) for number in range(1, 5)]
    kernel.answers += [said(whole + 6 + number) for number in range(1, whole - 1)]
    assert load() is True
    assert len(kernel.sent) == 3
