from __future__ import annotations

import os
from typing import TYPE_CHECKING

from outward.backends.relays import Relays

if TYPE_CHECKING:
    from pathlib import Path


def test_pipes_stay_what_they_are():
    read, write = os.pipe()
    with Relays((read, write, write)) as relays:
        assert relays.streams == (read, write, write)
    os.close(read)
    os.close(write)


def test_files_are_read_and_written_through_pipes(tmp_path: Path):
    (tmp_path / "in").write_bytes(b"question")
    with (
        (tmp_path / "in").open("rb") as source,
        (tmp_path / "out").open("wb") as sink,
        Relays((source.fileno(), sink.fileno(), sink.fileno())) as relays,
    ):
        stdin, out, err = relays.streams
        assert out == err  # one file: in the order of writing
        assert os.read(stdin, 64) == b"question"
        os.write(out, b"an")
        os.write(err, b"swer")
        relays.finish()
        assert (tmp_path / "out").read_bytes() == b"answer"


def test_what_was_written_before_stays(tmp_path: Path):
    with (tmp_path / "out").open("wb", buffering=0) as sink:
        sink.write(b"before ")
        with Relays((0, sink.fileno(), sink.fileno())) as relays:
            os.write(relays.streams[1], b"inside ")
            relays.finish()
        sink.write(b"after")
    assert (tmp_path / "out").read_bytes() == b"before inside after"


def test_everything_but_a_pipe_is_one_where_that_is_needed():
    null = os.open(os.devnull, os.O_RDWR)
    with Relays((null, null, null), pipes=True) as relays:
        assert null not in relays.streams
        assert os.read(relays.streams[0], 1) == b""
    os.close(null)
