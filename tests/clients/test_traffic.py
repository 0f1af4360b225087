"""Traffic of every shape through a real client: streams, long bodies, many at once, pipes."""

from __future__ import annotations

import gzip
import hashlib
import threading
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import AGENT, VALUE
from tests.clients.site import Asked, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.clients.site import Site

pytestmark = pytest.mark.needs("bubblewrap", "curl")

MEGABYTE = bytes(range(256)) * 4096
DOWNLOAD = 100
"""Megabytes."""


@pytest.fixture
def api(site: Callable[..., Site]) -> Callable[[Callable[[Asked], Reply]], Site]:
    return lambda application: site("api.test", application)


class Turns:
    """Events that are said one at a time: the next only after the client has shown the one before."""

    COUNT = 5

    def __init__(self) -> None:
        self.shown = threading.Semaphore(0)
        self.waited = True

    def events(self) -> Iterator[bytes]:
        for number in range(self.COUNT):
            yield f"data: event {number}\n\n".encode()
            self.waited &= self.shown.acquire(timeout=20)


def test_server_sent_events_arrive_one_by_one(desk, api):
    turns = Turns()
    stream = api(lambda asked: Reply(200, turns.events(), (("content-type", "text/event-stream"),)))
    desk.allow(stream, "GET /events")
    command = ("curl", "-sSN", "https://api.test/events")
    process = desk.caller.start("run", "--quiet", "--policy", str(desk.policy), "--agent", AGENT, "--", *command)
    lines = []
    for line in process.stdout:
        if line.strip():
            lines.append(line.strip())
            turns.shown.release()
    assert process.wait(20) == 0, process.stderr.read()
    assert turns.waited
    assert lines == [f"data: event {number}" for number in range(Turns.COUNT)]
    desk.assert_recorded("api.test")


def test_a_long_download_arrives_whole(desk, api):
    site = api(lambda asked: Reply(200, (MEGABYTE for _ in range(DOWNLOAD)), length=DOWNLOAD * len(MEGABYTE)))
    desk.allow(site, "GET /large")
    done = desk.inside("curl -sS https://api.test/large | sha256sum")
    assert done.stdout.split()[:1] == [hashlib.sha256(MEGABYTE * DOWNLOAD).hexdigest()], done.stderr
    (end,) = [record for record in desk.caller.journal() if record["phase"] == "end"]
    assert end["bytes_out"] == DOWNLOAD * len(MEGABYTE)


@pytest.mark.parametrize("length", [2 * len(MEGABYTE), None])
def test_a_download_that_breaks_off_is_not_taken_for_whole(desk, api, length):
    def break_off() -> Iterator[bytes]:
        yield MEGABYTE
        raise ConnectionAbortedError

    site = api(lambda asked: Reply(200, break_off(), length=length))
    desk.allow(site, "GET /large")
    done = desk.inside("curl -sS -o /dev/null --max-time 20 https://api.test/large")
    assert done.returncode == 18
    (end,) = [record for record in desk.caller.journal() if record["phase"] == "end"]
    assert end["error"]


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_that_asks_first(desk, api, chunked):
    site = api(lambda asked: Reply(body=hashlib.sha256(asked.body).hexdigest().encode()))
    desk.allow(site, "POST /upload")
    desk.caller.file(desk.caller.workspace / "upload", "0123456789" * 300_000, 0o644)
    framing = "-H 'transfer-encoding: chunked'" if chunked else ""
    line = f"curl -sS -v -H 'expect: 100-continue' {framing} --data-binary @upload https://api.test/upload"
    done = desk.inside(f"{line}; sha256sum <upload")
    sent, expected = done.stdout[:64], done.stdout[64:128]
    assert sent == expected, done.stderr
    assert "< HTTP/1.1 100 Continue" in done.stderr
    assert [asked.headers["expect"] for asked in site.asked] == ["100-continue"]


def test_an_upload_that_is_refused_is_not_sent(desk, api):
    site = api(lambda asked: Reply())
    desk.allow(site, "GET /upload")
    desk.caller.file(desk.caller.workspace / "upload", "0123456789" * 300_000, 0o644)
    line = "curl -sS -H 'expect: 100-continue' --data-binary @upload https://api.test/upload"
    done = desk.inside(f"{line} -w '%{{size_upload}}'")
    assert '"method_not_allowed"' in done.stdout
    assert done.stdout.splitlines()[-1] == "0"
    assert not site.asked


def test_head(desk, api):
    site = api(lambda asked: Reply(body=b"0123456789"))
    desk.allow(site, "HEAD /page")
    done = desk.inside("curl -sSI --suppress-connect-headers https://api.test/page; curl -sS https://api.test/page")
    head, _, refusal = done.stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200")
    assert "content-length: 10" in head.lower()
    assert '"method_not_allowed"' in refusal
    assert [asked.method for asked in site.asked] == ["HEAD"]


def compressing(asked: Asked) -> Reply:
    """As servers do: compressed for who accepts it. Says the credential back, which it should not."""
    text = f"you are {asked.headers['authorization']}\n".encode()
    if "gzip" in asked.headers.get("accept-encoding", ""):
        return Reply(body=gzip.compress(text), headers=(("content-encoding", "gzip"),))
    return Reply(body=text)


def test_what_a_secret_is_bound_to_is_asked_for_uncompressed_and_redacted(desk, api):
    site = api(compressing)
    desk.allow(site, "GET /page")
    done = desk.inside('curl -sS --compressed https://api.test/page; echo "you are Bearer $SERVICE_TOKEN"')
    said, placeholder = done.stdout.splitlines()
    assert said == placeholder
    assert VALUE not in done.stdout
    assert [asked.headers["accept-encoding"] for asked in site.asked] == ["identity"]
    desk.assert_recorded("api.test")


def test_what_no_secret_is_bound_to_stays_compressed(desk, site):
    open_site = site("api.test", compressing, credential=None)
    desk.allow(open_site, "GET /page", inject="")
    done = desk.inside("curl -sS --compressed -v https://api.test/page")
    assert done.stdout == "you are None\n"
    assert "content-encoding: gzip" in done.stderr.lower()


def test_what_comes_compressed_all_the_same_is_redacted(desk, api):
    site = api(lambda asked: Reply(body=gzip.compress(VALUE.encode()), headers=(("content-encoding", "gzip"),)))
    desk.allow(site, "GET /page")
    done = desk.inside('curl -sS --compressed https://api.test/page; echo; echo "$SERVICE_TOKEN"')
    said, placeholder = done.stdout.splitlines()
    assert said == placeholder != VALUE


def test_thirty_at_once(desk, api):
    together = threading.Barrier(30)

    def meet(asked: Asked) -> Reply:
        together.wait(30)
        return Reply(body=f"{asked.path}\n".encode())

    site = api(meet)
    desk.allow(site, "GET /*")
    done = desk.inside('for n in $(seq 30); do curl -sS "https://api.test/$n" & done; wait')
    assert sorted(done.stdout.split()) == sorted(f"/{n}" for n in range(1, 31)), done.stderr
    desk.assert_recorded("api.test")
    assert len([r for r in desk.caller.journal() if r["phase"] == "end"]) == 30


def test_a_placeholder_where_it_does_not_belong_is_an_alarm(desk, api, site):
    mine, other = api(lambda asked: Reply()), site("other.test", lambda asked: Reply(), credential=None)
    second = f"  - {{host: other.test, connect_to: '127.0.0.1:{other.port}', ca: {desk.ca}, allow: [GET /**]}}\n"
    desk.allow(mine, "GET /**", more=second)
    done = desk.inside('curl -sS https://other.test/ -H "x-token: $SERVICE_TOKEN"; curl -sSf https://other.test/')
    assert done.returncode == 0, done.stderr
    assert '"placeholder_leak"' in done.stdout
    assert [asked.headers.get("x-token") for asked in other.asked] == [None]


def test_pipes_and_statuses(desk, api):
    site = api(lambda asked: Reply(body=asked.body.upper()))
    desk.allow(site, "POST /shout")
    shout = ("curl", "-sSf", "--data-binary", "@-", "https://api.test/shout")
    options = ("run", "--quiet", "--policy", str(desk.policy), "--agent", AGENT, "--")
    assert desk.caller.outward(*options, "cat", stdin="x\n").stdout == "x\n"
    assert desk.caller.outward(*options, *shout, stdin="louder\n").stdout == "LOUDER\n"
    assert desk.caller.outward(*options, *shout[:-1], "https://api.test/whisper", stdin="x").returncode == 22
    assert desk.caller.outward(*options, *shout[:-1], "https://evil.test/", stdin="x").returncode == 22
