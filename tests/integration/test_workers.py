"""``serve --workers``: several processes behind the same listeners, and what becomes of them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.upstream import Upstream, answer, read_request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from tests.support.client import Connection
    from tests.support.serve import Serve

KEY = "sk-ant-test-REAL-0123456789abcdefghij"

POLICY = """
secrets:
  key: {{env: KEY}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["GET,PUT /v1/**"]
    inject: [{{header: x-api-key, secret: key}}]
"""


@pytest.fixture
def api(upstream: Callable[..., Upstream]) -> Upstream:
    return upstream("api.test")


@pytest.fixture
def gateway(serve: Callable[..., Serve], api: Upstream) -> Serve:
    return two_workers(serve, api)


def two_workers(serve: Callable[..., Serve], server: Upstream, *arguments: str) -> Serve:
    return serve(
        POLICY.format(port=server.port),
        *(arguments or ("--listen", "127.0.0.1:0")),
        "--workers",
        "2",
        env={"KEY": KEY},
    )


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("the condition never came true")


def worker_of(gateway: Serve, path: str) -> str:
    """The chain in which the request for ``path`` stands."""
    found = [record["session"] for record in gateway.journal() if record.get("path") == path]
    return str(found[0])


@contextlib.contextmanager
def on_every_worker(gateway: Serve, workers: int = 2) -> Iterator[dict[str, Connection]]:
    """An open connection to each worker. Which one takes a connection is chance, so as many are made as it takes."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Connection] = {}
        for number in range(500):
            client = stack.enter_context(gateway.tunnel("api.test"))
            path = f"/v1/find/{time.monotonic_ns()}/{number}"
            client.request("GET", path, "api.test")
            found.setdefault(worker_of(gateway, path), client)
            if len(found) == workers:
                break
        assert len(found) == workers
        yield found


# -- the same as with one


def test_all_workers_share_the_work_and_the_log_is_one(gateway: Serve, api: Upstream) -> None:
    with on_every_worker(gateway) as clients:
        assert len(children(gateway.process.pid)) == 2
        one, two = sorted(clients)
        assert one.removesuffix("-w1") == two.removesuffix("-w2")
        for number in range(10):
            for client in clients.values():
                assert client.request("GET", f"/v1/x{number}", "api.test").status == 200
    assert {seen["x-api-key"] for seen in api.seen} == {KEY}
    until(lambda: len(gateway.journal()) == 2 * len(api.seen))
    records = gateway.journal()
    ids = [record["id"] for record in records if record["phase"] == "start"]
    assert len(set(ids)) == len(ids) == len(api.seen)
    assert {record["session"] for record in records} == {one, two}

    session = one.removesuffix("-w1")
    merged = gateway.run("log", "--json", "--session", session).stdout.splitlines()
    assert sorted(merged) == sorted(line for file in gateway.journals() for line in file.read_text().splitlines())
    times = [line.split('"time":"')[1].split('"')[0] for line in merged]
    assert times == sorted(times)
    only = gateway.run("log", "--json", "--session", two).stdout.splitlines()
    assert 0 < len(only) < len(merged)
    verified = gateway.run("audit", "verify")
    assert (verified.returncode, "2 files" in verified.stdout) == (0, True), verified.stdout

    file = gateway.journals()[1]
    file.write_bytes(file.read_bytes().replace(b'"status":200', b'"status":404', 1))
    assert gateway.run("audit", "verify").returncode == 1, "a changed record of any worker is found"


def test_one_worker_is_one_process(serve: Callable[..., Serve], api: Upstream) -> None:
    gateway = serve(POLICY.format(port=api.port), "--workers", "1", env={"KEY": KEY})
    assert gateway.get("api.test", "/v1/x").status == 200
    assert children(gateway.process.pid) == []
    (file,) = gateway.journals()
    assert "-w" not in file.name


def test_each_worker_says_what_goes_through(serve: Callable[..., Serve], api: Upstream) -> None:
    gateway = serve(
        POLICY.format(port=api.port), "--listen", "127.0.0.1:0", "--workers", "2", "--debug", env={"KEY": KEY}
    )
    assert gateway.get("api.test", "/v1/x").status == 200
    gateway.stop()
    assert "GET https://api.test:443/v1/x; allow by " in gateway.stderr.read_text()
    assert KEY not in gateway.stderr.read_text()


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5", "1000", ""])
def test_what_is_no_number_of_workers_is_refused(serve: Callable[..., Serve], number: str) -> None:
    with pytest.raises(AssertionError, match="neither a number"):
        serve("destinations: []", f"--workers={number}")


def test_auto_is_one_for_each_processor(serve: Callable[..., Serve], api: Upstream) -> None:
    gateway = serve(POLICY.format(port=api.port), "--workers", "auto", env={"KEY": KEY})
    processors = len(os.sched_getaffinity(0))
    assert len(children(gateway.process.pid)) == (processors if processors > 1 else 0)


def test_a_unix_socket_is_shared_and_gone_at_the_end(
    serve: Callable[..., Serve], api: Upstream, tmp_path: Path
) -> None:
    path = tmp_path / "o.sock"
    gateway = two_workers(serve, api, "--listen", f"unix:{path}")
    with on_every_worker(gateway):
        pass
    assert gateway.stop() == 0
    assert not path.exists()
    assert not (gateway.state / "serve.json").exists()


def test_no_worker_talks_to_the_gateway_itself(serve: Callable[..., Serve], api: Upstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    own = f"  - {{host: self.test, scheme: http, connect_to: 127.0.0.1:{port}, allow: [GET /**]}}\n"
    gateway = serve(
        POLICY.format(port=api.port) + own, "--listen", f"127.0.0.1:{port}", "--workers", "2", env={"KEY": KEY}
    )
    answered = set()
    for number in range(500):
        with gateway.dial() as client:
            assert client.request("GET", f"http://self.test/{number}", "self.test").code == "address_not_allowed"
        answered.add(worker_of(gateway, f"/{number}"))
        if len(answered) == 2:
            return
    pytest.fail("one worker took everything")


def test_env_points_at_the_workers(gateway: Serve) -> None:
    printed = gateway.run("env", "--shell", "json")
    assert f"http://{gateway.address}" in printed.stdout, printed.stderr


# -- a new policy


def test_a_reload_reaches_every_worker_or_none(gateway: Serve, api: Upstream) -> None:
    before = gateway.policy.read_text().removeprefix("version: 1\n")
    with on_every_worker(gateway) as clients:
        gateway.write_policy(before.replace("/v1/**", "/v2/**"))
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "was reloaded" in gateway.stderr.read_text())
        for client in clients.values():
            assert client.request("GET", "/v1/x", "api.test").code == "path_not_allowed", "on open connections, too"
            assert client.request("GET", "/v2/x", "api.test").status == 200
        gateway.write_policy("destinations: [{hots: api.test}]")
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "not reloaded" in gateway.stderr.read_text())
        for client in clients.values():
            assert client.request("GET", "/v2/x", "api.test").status == 200, "the policy of before stays"
        assert gateway.stderr.read_text().count("was reloaded") == 1, "said once"
        assert "hots" in gateway.stderr.read_text()
    assert api.seen[-1]["x-api-key"] == KEY


def test_a_worker_that_comes_later_has_the_new_policy(gateway: Serve) -> None:
    before = gateway.policy.read_text().removeprefix("version: 1\n")
    gateway.write_policy(before.replace("/v1/**", "/v2/**"))
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "was reloaded" in gateway.stderr.read_text())
    gateway.write_policy(before)  # not asked for: nobody reads it
    for worker in children(gateway.process.pid):
        os.kill(worker, signal.SIGKILL)
    assert gateway.get("api.test", "/v2/x").status == 200
    assert gateway.get("api.test", "/v1/x").code == "path_not_allowed"


def test_a_worker_that_does_not_follow_is_replaced(gateway: Serve) -> None:
    """One that is stopped cannot take the policy over; the other goes on, and no request is decided by the old one."""
    frozen, other = children(gateway.process.pid)
    os.kill(frozen, signal.SIGSTOP)
    gateway.write_policy(gateway.policy.read_text().removeprefix("version: 1\n").replace("/v1/**", "/v2/**"))
    gateway.process.send_signal(signal.SIGHUP)
    os.kill(frozen, signal.SIGKILL)
    until(lambda: "was reloaded" in gateway.stderr.read_text())
    until(lambda: len(children(gateway.process.pid)) == 2)
    assert other in children(gateway.process.pid)
    for _ in range(10):
        assert gateway.get("api.test", "/v1/x").code == "path_not_allowed"


# -- the death of a worker


def test_a_killed_worker_costs_no_record_and_is_replaced(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    """``kill -9`` in the middle of 200 requests: clients that ask again are served, and all that got out is on record."""
    enough = threading.Event()

    async def count(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            server.seen.append(seen)
            if len(server.seen) >= 80:
                enough.set()
            writer.write(answer(body=b"ok"))
            await writer.drain()

    server = upstream("api.test", handler=count)
    gateway = two_workers(serve, server)
    served: dict[int, int] = defaultdict(int)

    def work(thread: int) -> None:
        number = tries = 0
        while number < 25 and tries < 10:
            tries += 1
            with contextlib.suppress(OSError), gateway.tunnel("api.test") as client:
                while number < 25:
                    if client.request("GET", f"/v1/{thread}/{number}", "api.test").status == 200:
                        number += 1
        served[thread] = number

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    assert enough.wait(30)
    killed = children(gateway.process.pid)[0]
    os.kill(killed, signal.SIGKILL)
    for thread in threads:
        thread.join(30)
    assert sum(served.values()) == 200

    until(lambda: len(children(gateway.process.pid)) == 2)
    assert killed not in children(gateway.process.pid)
    assert f"(process {killed}) was killed by SIGKILL; another takes its place" in gateway.stderr.read_text()
    started = {record["path"] for record in gateway.journal() if record["phase"] == "start"}
    assert {seen.target for seen in server.seen} == started
    until(lambda: len(gateway.journals()) == 3)
    verified = gateway.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout

    file = max(gateway.journals(), key=lambda journal: journal.stat().st_size)  # one of them may have hardly begun
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:5] + lines[6:]))
    assert gateway.run("audit", "verify").returncode == 1, "a lost record would be found"


def test_connections_wait_while_there_is_no_worker(gateway: Serve) -> None:
    for worker in children(gateway.process.pid):
        os.kill(worker, signal.SIGKILL)
    assert gateway.get("api.test", "/v1/x").status == 200


def test_who_keeps_dying_is_tried_again_until_it_works(gateway: Serve) -> None:
    journal = gateway.state / "journal"
    journal.chmod(0o777)  # nobody writes a journal where others can
    os.kill(children(gateway.process.pid)[0], signal.SIGKILL)
    until(lambda: "in 0.5 s" in gateway.stderr.read_text())
    assert f"could not go on: others can write to {journal}" in gateway.stderr.read_text()
    assert gateway.get("api.test", "/v1/x").status == 200, "the other worker goes on"
    journal.chmod(0o700)
    until(lambda: len(children(gateway.process.pid)) == 2)
    with on_every_worker(gateway):
        pass


def test_workers_that_cannot_begin_are_the_end(serve: Callable[..., Serve], api: Upstream, tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "journal").mkdir(parents=True, mode=0o700)
    (state / "journal").chmod(0o777)
    with pytest.raises(AssertionError, match="others can write"):
        serve(POLICY.format(port=api.port), "--workers", "2", env={"KEY": KEY, "OUTWARD_HOME": str(state)})
    assert not (state / "serve.json").exists()


# -- the end


def test_all_workers_let_requests_end(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> None:
    """Everybody gets the signal, as in a terminal: that is one order, not an end of each."""
    server = upstream("api.test")
    gateway = two_workers(serve, server)
    with on_every_worker(gateway) as clients:
        server.handler = _slow
        for client in clients.values():
            client.send(b"PUT /v1/slow HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\n\r\n")
        until(lambda: [r["path"] for r in gateway.journal()].count("/v1/slow") == 2)
        for pid in (*children(gateway.process.pid), gateway.process.pid):
            os.kill(pid, signal.SIGINT)
        until(lambda: "stopping" in gateway.stderr.read_text())
        until(lambda: _refuses(gateway))
        for client in clients.values():
            client.send(b"x")
            assert client.read_answer().status == 200
    assert gateway.process.wait(20) == 0
    assert [r["path"] for r in gateway.journal() if r["phase"] == "end"].count("/v1/slow") == 2
    assert gateway.run("audit", "verify").returncode == 0


def test_a_second_signal_hurries(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> None:
    server = upstream("api.test")
    gateway = two_workers(serve, server)
    with on_every_worker(gateway) as clients:
        for client in clients.values():
            client.send(b"PUT /v1/slow HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\n\r\n")
        until(lambda: [r["path"] for r in gateway.journal()].count("/v1/slow") == 2)
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in gateway.stderr.read_text())
        assert gateway.process.poll() is None, "it waits for them"
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(20) == 0
    assert [r["path"] for r in gateway.journal() if r["phase"] == "end"].count("/v1/slow") == 2


def test_a_worker_that_dies_while_it_drains_shows_in_the_status(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    server = upstream("api.test")
    gateway = two_workers(serve, server)
    with on_every_worker(gateway) as clients:
        for client in clients.values():
            client.send(b"PUT /v1/slow HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\n\r\n")
        until(lambda: [r["path"] for r in gateway.journal()].count("/v1/slow") == 2)
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in gateway.stderr.read_text())
        for worker in children(gateway.process.pid):
            os.kill(worker, signal.SIGKILL)
        assert gateway.process.wait(20) == 1
    assert "another takes its place" not in gateway.stderr.read_text()
    assert gateway.run("audit", "verify").returncode == 0


def test_without_its_supervisor_no_worker_stays(gateway: Serve) -> None:
    workers = children(gateway.process.pid)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGSTOP)  # one that could not even notice
    gateway.process.kill()
    gateway.process.wait(20)
    until(lambda: not any(_runs(pid) for pid in workers))
    until(lambda: _refuses(gateway))
    assert gateway.run("audit", "verify").returncode == 0


async def _slow(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (seen := await read_request(reader)) is not None:
        server.seen.append(seen)
        writer.write(answer(body=b"done"))
        await writer.drain()


def _refuses(gateway: Serve) -> bool:
    try:
        gateway.dial().sock.close()
    except OSError:
        return True
    return False


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
