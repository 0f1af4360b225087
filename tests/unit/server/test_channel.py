"""What supervisor and worker say to each other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outward.policy import Sources
from outward.server.channel import Channel, Kind, Message, read_change, read_file, write_change

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, two = Channel.pair()
    yield one, two
    one.close()
    two.close()


def flood(channel: Channel) -> None:
    for _ in range(100_000):
        channel.send(Message(Kind.STOP))


def test_messages_stay_whole_and_in_order(ends: tuple[Channel, Channel]) -> None:
    one, two = ends
    one.send(Message(Kind.READY))
    one.send(Message(Kind.FAILED, 'no "disk" left\n\u00e4\ud800'))
    assert two.receive() == Message(Kind.READY)
    assert two.receive() == Message(Kind.FAILED, 'no "disk" left\n\u00e4\ud800')
    with pytest.raises(BlockingIOError):
        two.receive()


def test_what_is_too_long_is_cut_and_never_lost(ends: tuple[Channel, Channel]) -> None:
    one, two = ends
    one.send(Message(Kind.FAILED, "\U0001f4a3" * 100_000))
    message = two.receive()
    assert message is not None
    assert message.text == "\U0001f4a3" * 500


def test_the_end_is_seen_after_the_last_words(ends: tuple[Channel, Channel]) -> None:
    one, two = ends
    one.send(Message(Kind.FAILED, "why"))
    one.close()
    assert two.receive() == Message(Kind.FAILED, "why")
    assert two.receive() is None
    with pytest.raises(OSError, match=r"[Bb]roken pipe|refused|reset"):
        two.send(Message(Kind.STOP))


def test_who_does_not_listen_is_noticed(ends: tuple[Channel, Channel]) -> None:
    one, _ = ends
    with pytest.raises(BlockingIOError):
        flood(one)


def test_a_change_of_any_size_comes_along(ends: tuple[Channel, Channel]) -> None:
    one, two = ends
    sources = Sources(Path("/p.yaml"), Path("/home/u"), {"/p.yaml": "ä" * 3_000_000}, {"npm": ("https://r/",)}, {})
    change = write_change(sources, {"key": "sk-ant-test-placeholder"})
    for _ in range(2):
        one.send(Message(Kind.REPLACE, descriptor=change))
    os.close(change)
    for _ in range(2):  # each worker reads the same file, from its beginning
        message = two.receive()
        assert message is not None
        assert message.descriptor is not None
        assert read_change(message.descriptor) == (sources, {"key": "sk-ant-test-placeholder"})
        assert len(read_file(message.descriptor)) > 3_000_000
        os.close(message.descriptor)
