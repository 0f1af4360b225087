"""The same class over every backend of this machine: ``make test-backends``.

A *box* is somebody who runs commands in one backend, with a policy, a server that demands a credential, and one that greets
first, as SSH does. Docker gets a daemon of its own, which ends with the tests.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trustme

from tests.clients.site import Reply, Site
from tests.conftest import SOMEBODY
from tests.support.caller import new_caller
from tests.system.conftest import Attacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECRET = "sk-ant-test-0123456789-REAL-VALUE"
CREDENTIAL = f"Bearer {SECRET}"
BANNER = b"SSH-2.0-stand-in\r\n"

DAEMON_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

POLICY = """\
version: 1
secrets:
  service: {{env: SERVICE_TOKEN, expose: SERVICE_TOKEN}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{api}
    ca: {ca}
    allow: ["GET /**"]
    inject: [{{header: authorization, value: 'Bearer {{service}}'}}]
  - {{host: ssh.test, port: 22, connect_to: 127.0.0.1:{banner}, tls: passthrough, allow: connect}}
"""


RUNTIMES = {
    # ptrace works everywhere; the second one has a network of its own, where the cage is not.
    "runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--platform=ptrace", "--network=host"]},
    "runsc-apart": {"path": "/usr/bin/runsc", "runtimeArgs": ["--platform=ptrace"]},
}


class Kind(NamedTuple):
    """A backend and who runs it. ``needs`` is what the machine must have for it; ``own_kernel`` says that commands do not run on
    the host's; ``daemon`` is the fixture of docker's."""

    backend: str
    unprivileged: bool
    needs: tuple[str, ...]
    options: tuple[str, ...] = ()
    own_kernel: bool = False
    daemon: str = "daemon"


KINDS = {
    # One line a backend and a kind of caller.
    "bubblewrap": Kind("bubblewrap", unprivileged=False, needs=("bubblewrap",)),
    "bubblewrap-user": Kind("bubblewrap", unprivileged=True, needs=("bubblewrap",)),
    "docker": Kind("docker", unprivileged=False, needs=("root", "dockerd")),
    "docker-gvisor": Kind(
        "docker",
        unprivileged=False,
        needs=("root", "dockerd", "runsc"),
        options=("--runtime", "runsc"),
        own_kernel=True,
    ),
    "docker-remapped": Kind(
        "docker", unprivileged=False, needs=("root", "dockerd", "sub-users"), daemon="daemon_that_maps_users"
    ),
    "docker-user": Kind(
        "docker",
        unprivileged=True,
        needs=("root", "dockerd", "rootlesskit", "sub-users"),
        daemon="daemon_without_root",
    ),
    "podman": Kind("podman", unprivileged=False, needs=("root", "podman")),
    "podman-user": Kind("podman", unprivileged=True, needs=("root", "podman", "sub-users")),
    "gvisor": Kind("gvisor", unprivileged=False, needs=("runsc",), own_kernel=True),
    "gvisor-user": Kind("gvisor", unprivileged=True, needs=("runsc",), own_kernel=True),
    "microvm": Kind(
        "microvm", unprivileged=False, needs=("bubblewrap", "qemu-system-x86_64", "machine"), own_kernel=True
    ),
}

CONTAINERS = [name for name, kind in KINDS.items() if kind.backend in {"docker", "podman"}]


@dataclass
class Box(Attacked):
    """Somebody with a policy, in one backend."""

    name: str = ""

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    def argv(self, *arguments: str) -> list[str]:
        if arguments[0] == "run":
            policy = str(self.home / "policy.yaml")
            chosen = ("--backend", self.kind.backend, *self.kind.options, "--policy", policy)
            arguments = ("run", *chosen, *arguments[1:])
        return super().argv(*arguments)

    @property
    def daemon(self) -> str:
        """The directory of its docker daemon."""
        return self.environment.get("DOCKER_HOST", "").removeprefix("unix://").removesuffix("/docker.sock")

    def engine(self, *arguments: str) -> str:
        """What docker or podman answers to this caller."""
        user = [] if self.uid is None else super().argv()[:4]
        argv = [*user, self.kind.backend, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=self.env(), cwd="/")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def containers(self) -> list[str]:
        """Those of this caller's sessions, as others run beside."""
        sessions = [file.stem for file in (self.state / "journal").glob("*.jsonl")]
        assert sessions
        listed = self.engine("ps", "--all", "--format", "{{.Names}}").split()
        return [name for name in listed if any(session in name for session in sessions)]


def write_policy(box: Box, more: str = "") -> None:
    """Adds lines to the policy."""
    path = box.home / "policy.yaml"
    box.file(path, path.read_text() + more)


class Banner:
    """A server that greets first and says what it was told."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.sendall(BANNER)

    def close(self) -> None:
        self._server.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def daemon() -> Iterator[str]:
    """A docker daemon of the tests' own: where it listens."""
    with docker_daemon() as host:
        yield host


@pytest.fixture(scope="session")
def daemon_that_maps_users() -> Iterator[str]:
    """One whose containers have the users of somebody's range, none of whom is anybody outside."""
    with docker_daemon(options=(f"--userns-remap={pwd.getpwuid(SOMEBODY).pw_name}",)) as host:
        yield host


@pytest.fixture(scope="session")
def daemon_without_root() -> Iterator[str]:
    """One that belongs to an unprivileged user."""
    kit = ("rootlesskit", "--net=host", "--copy-up=/etc", "--copy-up=/run", "--propagation=rslave")
    drop = ("setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--init-groups")
    fresh = ("sh", "-c", 'rm -f /run/docker /run/containerd; exec "$@"', "sh")  # they lead to those of root's
    with docker_daemon((*drop, *kit, *fresh), ("--rootless",), SOMEBODY) as host:
        yield host


@contextmanager
def docker_daemon(before: Sequence[str] = (), options: Sequence[str] = (), owner: int = 0) -> Iterator[str]:
    """A daemon that something starts, and that ends with the context."""
    root = Path(tempfile.mkdtemp(prefix="outward-dockerd-"))
    os.chown(root, owner, owner)
    root.chmod(0o711)  # root of containers gets to its files even if it is nobody here
    host = f"unix://{root}/docker.sock"
    runtimes = root / "daemon.json"
    runtimes.write_text(json.dumps({"runtimes": RUNTIMES}))
    log = (root / "log").open("w")
    process = subprocess.Popen(
        [
            *(*before, "dockerd", *options),
            *(
                f"--config-file={runtimes}",
                f"--data-root={root}/data",
                f"--exec-root={root}/exec",
                f"--pidfile={root}/pid",
            ),
            *(f"--host={host}", "--iptables=false", "--bridge=none"),
        ],
        stdout=log,
        stderr=log,
        cwd="/",
        env={"PATH": DAEMON_PATH, "HOME": str(root), "XDG_RUNTIME_DIR": str(root)},
    )
    try:
        while subprocess.run(
            ["docker", "version"], capture_output=True, env={**os.environ, "DOCKER_HOST": host}
        ).returncode:
            assert process.poll() is None, (root / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield host
    finally:
        process.terminate()
        process.wait(60)
        log.close()
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def containers_of(box: Box) -> Iterator[None]:
    """Podman's storage lies in the caller's home."""
    runtime = box.root / "runtime"
    runtime.mkdir(mode=0o700)
    box.own(runtime)
    box.environment["XDG_RUNTIME_DIR"] = str(runtime)
    yield
    if box.uid is not None:  # its storage has files of other users in it, and a process keeps its namespaces
        argv = [*box.argv("")[:4], "podman", "system", "reset", "--force"]
        subprocess.run(argv, env=box.env(), capture_output=True, cwd="/")


def boxes(*names: str) -> list[Any]:
    """Parameters for ``box``."""
    return [pytest.param(name, marks=pytest.mark.needs(*KINDS[name].needs)) for name in names]


@pytest.fixture(params=boxes(*KINDS))
def box(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[Box]:
    kind = KINDS[request.param]
    with ExitStack() as stack:
        box = stack.enter_context(new_caller(Box, unprivileged=kind.unprivileged))
        box.name = request.param
        box.file(box.home / "policy.yaml", "version: 1\n")
        if kind.backend == "docker":
            box.environment["DOCKER_HOST"] = request.getfixturevalue(kind.daemon)
        if kind.backend == "microvm":
            box.bring_machine()
        if kind.backend == "podman":
            stack.enter_context(containers_of(box))
        yield box


@pytest.fixture
def site(box: Box, authority: trustme.CA) -> Iterator[Site]:
    """The server of api.test, which the policy allows, and its credential; ssh.test is at ``site.banner``."""
    ca = box.file(box.home / "ca.pem", authority.cert_pem.bytes().decode(), 0o644)
    banner = Banner()
    with Site(authority, "api.test", CREDENTIAL, lambda _: Reply(200, b"welcome\n")) as site:
        box.environment["SERVICE_TOKEN"] = SECRET
        box.file(box.home / "policy.yaml", POLICY.format(api=site.port, ca=ca, banner=banner.port))
        yield site
    banner.close()
