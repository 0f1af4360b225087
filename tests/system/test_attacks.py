"""Hostile programs inside the sandbox. Each attack is first shown to work where nothing stops it, where that is harmless."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.conftest import ATTACKS, attack_outside

if TYPE_CHECKING:
    from tests.support.caller import Caller

pytestmark = pytest.mark.needs("bubblewrap")

SECRET = "sk-ant-test-0123456789-REAL-VALUE"
PLAIN_BWRAP = [
    "bwrap",
    "--unshare-all",
    "--uid",
    "1000",
    "--gid",
    "1000",
    "--ro-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
]


def attack_in_plain_bwrap(*words: object) -> str:
    """The attack in a sandbox as many tools build it: own namespaces, the host's files read-only."""
    argv = [*PLAIN_BWRAP, "/usr/bin/python3", str(ATTACKS), *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60).stdout.strip()


def opened(said: dict[str, str]) -> list[str]:
    """Which of several attacks succeeded."""
    return [attack for attack, word in said.items() if not word.startswith("CLOSED")]


def succeeded(caller: Caller, *attempts: str) -> list[str]:
    """Which of several lines of shell end well, in one sandbox and one after the other."""
    done = caller.inside("; ".join(f"({attempt}) >/dev/null; echo $?" for attempt in attempts))
    statuses = done.stdout.split()
    assert len(statuses) == len(attempts), done.stderr
    return [attempt for attempt, status in zip(attempts, statuses, strict=True) if status == "0"]


class TestNetwork:
    @pytest.mark.parametrize(
        ("family", "address"),
        [("AF_INET", "127.0.0.1"), pytest.param("AF_INET6", "::1", marks=pytest.mark.needs("ipv6"))],
    )
    def test_the_hosts_loopback_is_out_of_reach(self, caller, family, address):
        with socket.create_server((address, 0), family=getattr(socket, family)) as server:
            port = server.getsockname()[1]
            assert attack_outside("connect", family, address, port) == "OPEN"
            assert caller.attack("connect", family, address, port).startswith("CLOSED")

    def test_the_hosts_other_addresses_are_out_of_reach(self, caller):
        with socket.create_server(("127.0.0.7", 0)) as server:
            port = server.getsockname()[1]
            assert attack_outside("connect", "AF_INET", "127.0.0.7", port) == "OPEN"
            assert caller.attack("connect", "AF_INET", "127.0.0.7", port).startswith("CLOSED")

    def test_addresses_lead_to_the_gateway_alone(self, caller):
        four, six = ("192.0.2.1", "169.254.169.254"), ("2001:db8::1", "fe80::1")
        attacks = (*(f"speak AF_INET {each} 80" for each in four), *(f"speak AF_INET6 {each} 80" for each in six))
        assert opened(caller.attacks(*attacks)) == []

    def test_datagrams_of_the_host_are_out_of_reach(self, caller):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
            assert caller.attack("udp", "127.0.0.1", port).startswith("CLOSED")
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.recv(16)

    def test_abstract_sockets_of_the_host_are_out_of_reach(self, caller):
        name = f"outward-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("\0" + name)
            server.listen()
            assert attack_outside("abstract", name) == "OPEN"
            assert caller.attack("abstract", name).startswith("CLOSED")

    def test_sockets_in_the_workspace_are_out_of_reach(self, caller):
        """A path socket can be connected to through any bind, read-only ones too: think of docker.sock."""
        path = caller.workspace / "host.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            caller.own(path)
            server.listen()
            assert attack_outside("connect", "AF_UNIX", path) == "OPEN"
            assert caller.attack("connect", "AF_UNIX", path).startswith("CLOSED")

    def test_names_are_not_resolved(self, caller):
        assert caller.attack("resolve", "example.com").startswith("CLOSED")

    def test_the_gateway_is_reached(self, caller):
        assert caller.attack("connect", "AF_INET", "127.0.0.1", 3128) == "OPEN"

    def test_other_sockets_are_refused(self, caller):
        attacks = (
            "family AF_VSOCK",
            "family AF_PACKET SOCK_RAW",
            "family AF_INET SOCK_RAW 1",
            "family AF_INET6 SOCK_RAW 58",
            "family AF_ALG SOCK_SEQPACKET",
            "netlink 12",
        )
        assert opened(caller.attacks(*attacks)) == []

    def test_virtual_machine_sockets_open_without_the_filter(self):
        """They ignore network namespaces; without the filter, an empty namespace does not close them."""
        if not Path("/proc/net/vsock").exists() and attack_outside("family", "AF_VSOCK") != "OPEN":
            pytest.skip("NOT TESTED: this kernel has no AF_VSOCK")
        assert attack_in_plain_bwrap("family", "AF_VSOCK") == "OPEN"


class TestSecrets:
    @pytest.fixture
    def with_secret(self, caller):
        caller.environment["ANTHROPIC_API_KEY"] = SECRET
        caller.file(caller.home / ".config/outward/token", SECRET)
        caller.file(caller.home / ".ssh/id_ed25519", SECRET)
        caller.file(caller.workspace / ".env", f"KEY={SECRET}")
        caller.file(caller.workspace / "deploy/server.key", SECRET)
        caller.file(caller.workspace / ".git-credentials", f"https://me:{SECRET}@forge.example")
        caller.file(
            caller.home / ".config/outward/policy.yaml",
            "version: 1\n"
            "secrets:\n"
            "  anthropic: {env: ANTHROPIC_API_KEY, expose: ANTHROPIC_API_KEY}\n"
            "  token: {file: ~/.config/outward/token}\n"
            "destinations:\n"
            "  - host: api.example.com\n"
            "    allow: [GET /]\n"
            "    inject: [{header: x-api-key, secret: anthropic}]\n",
        )
        return caller

    def test_the_secret_is_nowhere(self, with_secret):
        roots = ("/home", "/tmp", "/run", "/var", "/etc", str(with_secret.home), "/root")
        assert with_secret.attack("grep", SECRET[::-1], *roots).startswith("CLOSED")

    def test_the_search_would_find_it(self, with_secret):
        """The sibling: a file with another name is not hidden, and the same search finds it."""
        with_secret.file(with_secret.workspace / "notes.txt", SECRET)
        assert with_secret.attack("grep", SECRET[::-1], str(with_secret.workspace)) == "OPEN"

    def test_what_a_secret_is_got_with_is_nowhere_either(self, caller):
        """A kubeconfig does not only hold a log-in: it names programs that are run outside."""
        names = ("a-secret", "clusters.yaml", "a-jwt")
        for name in (*names, "notes.txt"):
            caller.file(caller.workspace / name, SECRET)
        of_a_cluster = "namespace: a, secret: b, key: c, kubeconfig: "
        of_vault = "path: a/b, field: c, auth: kubernetes, role: r, jwt: "
        caller.file(
            caller.home / ".config/outward/policy.yaml",
            "version: 1\n"
            "secrets:\n"
            f"  one: {{file: {caller.workspace}/a-secret}}\n"
            f"  two: {{kubernetes: {{{of_a_cluster}{caller.workspace}/clusters.yaml}}}}\n"
            f"  three: {{vault: {{{of_vault}{caller.workspace}/a-jwt}}}}\n",
        )
        assert caller.inside("cat notes.txt").stdout == SECRET
        assert caller.inside(f"cat {' '.join(names)}").stdout == ""
        assert succeeded(caller, *(f"echo x >{name}" for name in names)) == []

    @pytest.mark.parametrize("source", ["command: [op, read]", 'onepassword: "op://a/b/c"'])
    def test_a_program_that_gets_a_secret_is_none_of_the_agent_s(self, caller, source):
        """As in a project whose ``.venv`` is activated: its programs come before all others."""
        ours, planted = caller.home / "tools/op", caller.workspace / ".venv/bin/op"
        for file in (ours, planted):
            caller.file(file, f"#!/bin/sh\ntouch {file}.ran\nprintf {SECRET}\n", 0o755)
        caller.environment["PATH"] = f"{planted.parent}:{ours.parent}:/usr/bin:/bin"
        caller.file(
            caller.home / ".config/outward/policy.yaml",
            f"version: 1\nsecrets: {{key: {{{source}}}}}\ndestinations:\n"
            "  - {host: api.example.com, scheme: http, connect_to: '127.0.0.1:1', allow: [GET /],\n"
            "     inject: [{header: x, secret: key}]}\n",
        )
        caller.inside("curl -s http://api.example.com/")
        assert ours.with_name("op.ran").exists()
        assert not planted.with_name("op.ran").exists()
        caller.inside("curl -s http://api.example.com/", "--mode=read")
        assert planted.with_name("op.ran").exists(), "a project that the agent cannot write to is the person's own"

    def test_the_placeholder_is_there_instead(self, with_secret):
        found = with_secret.inside("echo $ANTHROPIC_API_KEY").stdout.strip()
        assert found.startswith("sk-ant-")
        assert found != SECRET

    def test_hidden_files_are_empty_and_stay_hidden(self, with_secret):
        env = with_secret.workspace / ".env"
        assert with_secret.inside("wc -c <.env").stdout.strip() == "0"
        attempts = ("rm -f .env", "mv .env x", "echo x >.env", "chmod 600 .env", "umount .env", "ln .env copy")
        assert succeeded(with_secret, *attempts) == []
        assert with_secret.inside("mv deploy other; cat other/server.key").stdout == ""
        assert SECRET in env.read_text()

    def test_what_opens_the_kept_secrets_is_out_of_view_wherever_it_is(self, caller):
        """A passphrase and a key file in the workspace, where nobody should have put them."""
        passphrase = caller.file(caller.workspace / "passphrase", SECRET)
        caller.environment["OUTWARD_PASSPHRASE_FILE"] = str(passphrase)
        assert caller.outward("secret", "init", "--key-file", str(caller.workspace / "opens")).returncode == 0
        key = (caller.workspace / "opens").read_text()
        inside = caller.inside("cat passphrase opens; echo; cat -- * | wc -c; echo $OUTWARD_PASSPHRASE_FILE").stdout
        assert SECRET not in inside
        assert key.strip() not in inside
        caller.file(caller.workspace / "beside", key)
        assert key.strip() in caller.inside("cat beside").stdout, "another file is in view"

    def test_state_key_and_journal_are_out_of_view(self, with_secret):
        with_secret.inside("true")
        key = next((with_secret.state / "pki").glob("*key*"))
        policy = with_secret.home / ".config/outward/policy.yaml"
        paths = (key, with_secret.state, with_secret.state / "journal", policy)
        assert all(path.exists() for path in paths)
        assert succeeded(with_secret, *(f"ls {path}" for path in paths)) == []


class TestWhatDecides:
    def test_a_policy_in_the_workspace_cannot_be_read_or_replaced(self, caller):
        text = "version: 1\ndestinations: []\n"
        policy = caller.file(caller.workspace / "conf/policy.yaml", text)
        line = (
            "cat conf/policy.yaml; rm -f conf/policy.yaml; echo x >conf/policy.yaml; mv conf/policy.yaml conf/p;"
            "mv conf conf2; mkdir conf; echo x >conf/policy.yaml; true"
        )
        assert caller.inside(line, "--policy", str(policy)).stdout == ""
        assert policy.read_text() == text

    def test_hooks_and_settings_that_exist_cannot_be_changed(self, caller):
        files = (".git/config", ".git/hooks/pre-commit", ".claude/settings.json", ".mcp.json", ".vscode/tasks.json")
        for file in files:
            caller.file(caller.workspace / file, "before")
        for file in files:
            # Whatever succeeds stays: none of these restores what another one changed.
            caller.inside(f"echo after >{file}; rm -f {file}; mv {file} x; mv {Path(file).parts[0]} y")
        assert {(caller.workspace / file).read_text() for file in files} == {"before"}

    @pytest.mark.needs("git")
    def test_git_still_commits(self, caller):
        caller.inside("git init -q .")
        line = "git -c user.name=a -c user.email=a@b.example commit -q --allow-empty -m x && git log --oneline | wc -l"
        assert caller.inside(line).stdout.strip() == "1"

    def test_the_system_cannot_be_written(self, caller):
        paths = ("/etc/passwd", "/usr/bin/env", "/etc/outward/ca.pem", "/etc/resolv.conf")
        assert opened(caller.attacks(*(f"write {path}" for path in paths))) == []

    def test_nothing_can_be_added_to_it(self, caller):
        directories = ("/", "/etc", "/etc/outward", "/usr/local/bin", "/home", "/proc/sys/kernel")
        assert opened(caller.attacks(*(f"create {directory}/planted" for directory in directories))) == []


class TestKernel:
    @pytest.mark.needs("root")
    def test_kernel_settings_are_writable_for_root_without_our_binds(self):
        assert attack_in_plain_bwrap("rewrite", "/proc/sys/kernel/printk") == "OPEN"

    def test_kernel_settings_are_read_only(self, caller):
        assert caller.attack("rewrite", "/proc/sys/kernel/printk").startswith("CLOSED")

    def test_the_kernels_own_files_say_nothing(self, caller):
        paths = ("/proc/kmsg", "/proc/timer_list", "/proc/slabinfo", "/proc/kcore", "/dev/kmsg", "/dev/mem")
        assert opened(caller.attacks(*(f"read {path}" for path in paths))) == []

    def test_there_is_no_sysfs(self, caller):
        assert caller.inside("ls /sys").returncode != 0

    def test_new_user_namespaces_are_refused(self, caller):
        assert attack_in_plain_bwrap("call", "unshare", 0x10000000) == "OPEN"
        assert caller.attack("call", "unshare", 0x10000000).startswith("CLOSED")

    def test_kernel_attack_surface_is_refused(self, caller):
        if os.uname().machine != "x86_64":
            pytest.skip("NOT TESTED: the numbers are those of x86_64")
        calls = {"io_uring_setup": 425, "bpf": 321, "userfaultfd": 323}
        said = caller.attacks(*(f"call {number} 0 0 0" for number in calls.values()))
        assert all("EPERM" in word for word in said.values()), said

    def test_privileges_cannot_be_gained(self, caller):
        status = caller.inside("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status").stdout
        values = dict(line.split(":\t") for line in status.splitlines())
        assert {name for name, value in values.items() if name.startswith("Cap") and int(value, 16)} == set()
        assert (values["NoNewPrivs"], values["Seccomp"]) == ("1", "2")

    def test_processes_of_the_host_are_out_of_view(self, caller):
        listed = caller.inside("ls -d /proc/[0-9]*").stdout.split()
        assert len(listed) < 10
        assert caller.attack("call", "kill", os.getpid(), 0).startswith("CLOSED")
