"""The real ``outward serve`` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.client import Answer, Connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.forked import Forked, Loaded

OUTWARD = Path(sys.executable).with_name("outward")


class Serve:
    """A running gateway. ``policy`` is the file's text after ``version: 1``."""

    def __init__(
        self,
        directory: Path,
        policy: str,
        *arguments: str,
        env: dict[str, str] | None = None,
        enter: Sequence[str] = (),
        loaded: Loaded | None = None,
    ) -> None:
        """``enter`` is the command that leads to where the gateway shall run; ``loaded`` what makes a start quicker elsewhere."""
        self.directory = directory
        self.state = directory / "state"
        self.policy = directory / "policy.yaml"
        self.write_policy(policy)
        self.stderr = directory / "stderr"
        environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "OUTWARD_HOME": str(self.state)} | (
            env or {}
        )
        words = ["serve", "--policy", str(self.policy), *(arguments or ("--listen", "127.0.0.1:0"))]
        self.process: Forked | subprocess.Popen[bytes]
        with self.stderr.open("wb") as stderr:
            if loaded is not None and not enter:
                self.process = loaded.start(words, stderr=stderr, env=environment, cwd=directory)
            else:
                self.process = subprocess.Popen(
                    [*enter, OUTWARD, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=environment,
                    cwd=directory,
                )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.stderr.read_text()
        self.ready = json.loads(line)
        self.address: str = self.ready["listen"][0]
        self.ca: str = self.ready["ca"]

    def write_policy(self, policy: str) -> None:
        self.policy.write_text("version: 1\n" + textwrap.dedent(policy))
        self.policy.chmod(0o600)

    def dial(self, index: int = 0) -> Connection:
        return Connection(self.ready["listen"][index])

    def tunnel(
        self, host: str, *, port: int = 443, sni: str | None = "", headers: str = "", alpn: tuple[str, ...] = ()
    ) -> Connection:
        """A TLS connection to ``host`` through the gateway."""
        connection = self.dial()
        answer = connection.connect(f"{host}:{port}", headers)
        assert answer.status == 200, answer.body
        connection.start_tls(self.ca, host if sni == "" else sni, alpn)
        return connection

    def get(self, host: str, path: str, headers: str = "", *, method: str = "GET", body: bytes = b"") -> Answer:
        with self.tunnel(host) as connection:
            return connection.request(method, path, host, headers, body)

    def journals(self) -> list[Path]:
        """The files of the journal, in order of their names."""
        return sorted((self.state / "journal").glob("*.jsonl"))

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for file in self.journals() for line in file.read_bytes().splitlines()]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another verb on the same state."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "OUTWARD_HOME": str(self.state)}
        return subprocess.run([OUTWARD, *arguments], capture_output=True, text=True, env=environment, timeout=60)

    def peak(self) -> int:
        """The most resident memory so far, in octets."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024

    def reload(self, policy: str) -> None:
        """Another policy, taken at the signal for it."""
        before = self.stderr.read_text().count("was reloaded")
        self.write_policy(policy)
        self.process.send_signal(signal.SIGHUP)
        while self.stderr.read_text().count("was reloaded") == before:
            assert self.process.poll() is None
            time.sleep(0.01)

    def stop(self, patience: float = 40) -> int:
        """Lets what is in flight end; after ``patience`` seconds it is told to hurry."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGTERM)
            status = self.process.wait(40)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status
