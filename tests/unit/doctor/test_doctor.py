"""The doctor with a command line that is a script of ours."""

from __future__ import annotations

import errno
import json
import os
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from outward import kernel
from outward.backends.containers import docker, line
from outward.cage import Cage
from outward.cli import doctor as cli
from outward.core import HostError
from outward.doctor import Trials, machine, try_backends, try_clients
from outward.doctor.clients import CLIENTS, Client
from outward.doctor.standin import stand_in
from outward.doctor.trial import Trial
from outward.isolation import programs
from outward.isolation.cgroups import Nowhere

if TYPE_CHECKING:
    from pathlib import Path

FETCH = """
import ssl, sys, urllib.request, re, socket
words = sys.argv[1:]
policy = open(words[words.index("--policy") + 1]).read()
url = words[-1]
scheme, host = url.split("://")
ports = re.findall(r"127.0.0.1:(\\d+)", policy)
context = ssl.create_default_context(cafile=re.search(r'ca: "([^"]*)"', policy)[1])
connect = socket.create_connection
socket.create_connection = lambda _, *rest, **more: connect(("127.0.0.1", int(ports[scheme == "http"])), *rest, **more)
"""


def outward(directory: Path, *lines: str) -> tuple[str, ...]:
    """A command line that does this, whatever it is asked."""
    script = directory / "outward.py"
    script.write_text("\n".join(lines))
    return (sys.executable, str(script))


def trials(directory: Path, *lines: str) -> Trials:
    return Trials(outward(directory, *lines), dict(os.environ), directory / "state", directory)


def ignore(_: str) -> None:
    """Nobody watches."""


class TestComplaint:
    def test_our_last_error_and_its_way_out(self):
        said = "outward: the policy allows nothing\noutward: bubblewrap is not installed\n  Install it.\n"
        assert Trial(125, said).complaint == ("bubblewrap is not installed", "Install it.")

    def test_without_a_way_out(self):
        assert Trial(125, "outward: no\nelse\n").complaint == ("no", "")

    def test_of_somebody_else(self):
        assert Trial(1, "Traceback\nKeyError: 'x'\n").complaint == ("KeyError: 'x'", "")
        assert Trial(1, "").complaint == ("it did not say why", "")


class TestBackends:
    def test_one_that_runs_a_command_works(self, tmp_path):
        watched: list[str] = []
        (finding,) = try_backends(["docker"], trials(tmp_path, "import sys", "sys.exit(0)"), watched.append)
        assert (finding.name, finding.good, watched) == ("docker", True, ["docker"])

    def test_one_that_does_not_says_why(self, tmp_path):
        broken = trials(tmp_path, "import sys", "sys.exit('outward: no docker here\\n  Install docker.')")
        (finding,) = try_backends(["docker"], broken, ignore)
        assert finding == ("docker", False, "no docker here", "Install docker.")

    def test_one_that_knows_no_way_out_gets_one(self, tmp_path):
        broken = trials(tmp_path, "import sys", "sys.exit('outward: podman says: Error')")
        (finding,) = try_backends(["podman"], broken, ignore)
        assert "outward run --backend podman -- true" in finding.remedy

    def test_the_variants_of_docker_are_tried_as_well(self, tmp_path, monkeypatch):
        tools = tmp_path / "tools"
        tools.mkdir()
        info = json.dumps({"SecurityOptions": ["name=rootless"], "Runtimes": {"mine": {"path": "/usr/bin/runsc"}}})
        (tools / "docker").write_text(f"#!/bin/sh\necho '{info}'\n")
        (tools / "docker").chmod(0o755)
        monkeypatch.setattr(programs, "SYSTEM_PATH", str(tools))
        script = trials(tmp_path, "import sys", "sys.exit('outward: not this one' if 'mine' in sys.argv else 0)")
        plain, other = try_backends(["docker"], script, ignore)
        assert (plain.name, plain.good) == ("docker", True)
        assert (other.name, other.good, other.found) == ("docker --runtime mine", False, "not this one")

    def test_how_docker_treats_users_is_said(self, tmp_path, monkeypatch):
        tools = tmp_path / "tools"
        tools.mkdir()
        info = json.dumps({"SecurityOptions": ["name=userns"]})
        (tools / "docker").write_text(f"#!/bin/sh\necho '{info}'\n")
        (tools / "docker").chmod(0o755)
        monkeypatch.setattr(programs, "SYSTEM_PATH", str(tools))
        monkeypatch.setattr(line, "caller", lambda: (0, 0))
        monkeypatch.setattr(docker, "obstacle", lambda paths, caller: f"{paths[-1]}: no way")
        script = trials(tmp_path, "import sys", "sys.exit(0)")
        (finding,) = try_backends(["docker"], script, ignore)
        told = f"docker's daemon maps users (userns-remap) and is told not to: {script.workspace}: no way"
        assert (finding.good, finding.found) == (True, f"works, {told}")

    def test_one_that_hangs_is_ended(self, tmp_path):
        trial = trials(tmp_path, "import time", "time.sleep(600)").run("version: 1\n", ["true"], seconds=0.5)
        assert trial.status is None
        assert "no end" in trial.complaint[0]


class TestClients:
    """``env`` stands for a client: it is on every machine."""

    def found(self, directory: Path, *lines: str) -> Any:
        clients = [Client("env", ("env", "URL")), Client("not-on-this-machine", ("no",))]
        script = trials(directory, FETCH, *lines)
        (finding,) = try_clients(clients, "/usr/bin:/bin", script, directory, "bubblewrap", ignore)
        return finding

    def test_one_whose_request_arrives_trusts_us(self, tmp_path):
        finding = self.found(tmp_path, "urllib.request.urlopen(url, context=context).read()")
        assert (finding.name, finding.good) == ("env", True)

    def test_one_that_arrives_in_the_clear_only_does_not(self, tmp_path):
        finding = self.found(tmp_path, "urllib.request.urlopen(url).read()")
        assert not finding.good
        assert "does not trust its certificates" in finding.found
        assert "certificate verify failed" in finding.found
        assert "docs/clients.md" in finding.remedy

    def test_one_that_never_arrives(self, tmp_path):
        finding = self.found(tmp_path, "sys.exit('cannot resolve')")
        assert (finding.good, finding.found) == (False, "nothing of it arrives: cannot resolve")

    def test_one_that_is_not_in_view(self, tmp_path):
        finding = self.found(
            tmp_path, "print('outward: env: not found in the sandbox', file=sys.stderr)", "sys.exit(127)"
        )
        assert (finding.good, finding.found) == (False, "env: not found in the sandbox")

    def test_what_it_is_told_is_where_to_fetch_from_and_nothing_else_of_its_words(self, tmp_path):
        script = trials(tmp_path, FETCH, "open('../words', 'w').write('\\n'.join(words))")
        words = ("env", "GH_HOST=HOST", "INDEX=sparse+URL/", "CURL", "URL/a")
        list(try_clients([Client("env", words)], "/usr/bin:/bin", script, tmp_path, "bubblewrap", ignore))
        told = (tmp_path / "words").read_text().splitlines()[-4:]
        url = "http://env.doctor.test"
        assert told == ["GH_HOST=env.doctor.test", f"INDEX=sparse+{url}/", "CURL", f"{url}/a"]

    def test_all_that_people_have_are_there(self):
        names = {client.name for client in CLIENTS}
        assert names == {"curl", "git", "pip", "npm", "node", "python", "go", "java", "cargo", "gcloud", "gh"}
        for client in CLIENTS:
            assert any("URL" in word or "HOST" in word for word in client.words)


def test_the_stand_in_has_a_certificate_for_every_name(tmp_path):
    import ssl

    with stand_in(tmp_path) as server:
        context = ssl.create_default_context(cafile=server.ca)
        for host in ("a.doctor.test", "b.doctor.test"):
            with context.wrap_socket(_connected(server.ports["https"]), server_hostname=host) as connection:
                connection.sendall(f"GET /x/info/refs HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
                assert connection.recv(15) == b"HTTP/1.1 200 OK"
        urllib.request.urlopen(f"http://127.0.0.1:{server.ports['http']}/").close()
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(_connected(server.ports["https"]), server_hostname="a.doctor.test")
    assert server.seen == {("https", "a.doctor.test"), ("https", "b.doctor.test"), ("http", "127.0.0.1")}


def _connected(port: int) -> Any:
    import socket

    return socket.create_connection(("127.0.0.1", port))


def _no_such_file_system(*_: str) -> None:
    raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))


class TestMachine:
    def test_every_finding_that_is_not_good_has_a_way_out(self):
        for finding in machine.look_at_machine():
            assert finding.good or finding.remedy, finding

    def test_a_setting_that_forbids_namespaces_is_named(self, monkeypatch):
        monkeypatch.setattr(machine, "obstacles", lambda: iter([("/proc/sys/user/max_user_namespaces", "Raise it.")]))
        assert machine._user_namespaces() == (
            "user namespaces",
            False,
            "forbidden by /proc/sys/user/max_user_namespaces",
            "Raise it.",
        )

    @pytest.mark.needs("bubblewrap", "nft")
    def test_a_kernel_with_a_packet_filter_and_one_without(self, monkeypatch):
        assert machine._packet_filter().good
        monkeypatch.setattr("outward.cage.rules.load", lambda *_, **__: False)
        finding = machine._packet_filter()
        assert (finding.good, "22, 80, 443 alone" in finding.found) == (False, True)

    @pytest.mark.needs("bubblewrap")
    def test_an_overlay_is_tried_whatever_is_loaded_before(self, monkeypatch):
        """The module of a distribution's kernel is not there before the first mount, and no remedy is needed."""
        assert machine._overlay() == ("overlay file system", True, "works, for review mode", "")
        monkeypatch.setattr(kernel, "mount", _no_such_file_system)
        finding = machine._overlay()
        assert (finding.good, "No such device" in finding.found) == (False, True)
        assert "modprobe overlay" in finding.remedy

    def test_where_there_are_no_namespaces_an_overlay_is_not_to_blame(self, monkeypatch):
        def forbidden(_: object) -> None:
            raise HostError("this machine does not let us create a user namespace", hint="Allow them.")

        monkeypatch.setattr(Cage, "open", forbidden)
        assert machine._overlay().remedy == "Allow them."

    def test_control_groups_that_hold_nothing(self):
        finding = machine._groups(Nowhere("none are mounted", "Mount them."))
        assert (finding.good, finding.remedy) == (False, "Mount them.")
        assert "cpus, memory, pids" in finding.found

    def test_a_machine_without_kvm(self, monkeypatch, tmp_path):
        monkeypatch.setattr(machine, "_KVM", tmp_path / "kvm")
        assert not machine._virtualization().good
        (tmp_path / "kvm").write_text("no device")
        assert "does not answer" in machine._virtualization().found


class TestCommand:
    def doctor(self, directory: Path, monkeypatch: pytest.MonkeyPatch, *lines: str, words: tuple[str, ...] = ()) -> Any:
        monkeypatch.setattr(cli, "_OUTWARD", outward(directory, *lines))
        monkeypatch.setattr(cli, "CLIENTS", ())
        return CliRunner().invoke(cli.command, list(words), standalone_mode=False)

    def test_a_machine_where_something_works(self, tmp_path, monkeypatch):
        done = self.doctor(tmp_path, monkeypatch, "import sys", "sys.exit('docker' not in sys.argv)", words=("--json",))
        document = json.loads(done.stdout)
        assert (done.return_value, document["ok"]) == (0, True)
        assert [each["name"] for each in document["backends"] if each["good"]] == ["docker"]
        assert {each["name"] for each in document["backends"]} == {
            "bubblewrap",
            "docker",
            "podman",
            "gvisor",
            "microvm",
        }

    def test_a_machine_where_nothing_does(self, tmp_path, monkeypatch):
        lines = ("import sys", "sys.exit('outward: it does not\\n  Change it.')")
        done = self.doctor(tmp_path, monkeypatch, *lines)
        assert done.return_value == 1
        assert "no   bubblewrap: it does not\n       Change it.\n" in done.stdout
        assert "No backend works" in done.stdout
        assert json.loads(self.doctor(tmp_path, monkeypatch, *lines, words=("--json",)).stdout)["ok"] is False
