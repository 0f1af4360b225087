"""A network of its own, in which every address leads back to it and the packet filter brings TCP to one port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = 3129
INSIDE = Path(__file__).with_name("namespace_inside.py")
LIMIT = 60

REDIRECT = f"""
table inet capture {{
  chain out {{
    type nat hook output priority -100; policy accept;
    ip daddr 127.0.0.0/8 accept
    ip6 daddr ::1 accept
    meta l4proto tcp redirect to :{PORT}
  }}
}}
"""
SET_UP = """
ip link set lo up
ip route add local default dev lo
ip -6 route add local default dev lo
mount --bind "$1" /etc/hosts
shift
exec "$@"
"""
OWN = ("unshare", "--user", "--map-root-user", "--net", "--mount")


class Namespace:
    """User, network and mount namespace. ``names`` are what its ``/etc/hosts`` says."""

    def __init__(self, directory: Path, names: Mapping[str, str]) -> None:
        hosts = directory / "hosts"
        hosts.write_text("".join(f"{address} {name}\n" for name, address in names.items()))
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(LIMIT)
        self._process = subprocess.Popen(
            [*OWN, "sh", "-ec", SET_UP, "sh", str(hosts), sys.executable, str(INSIDE), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        theirs.close()
        assert self._control.recv(16) == b"ready"
        self.enter = (
            *("nsenter", f"--target={self._process.pid}", "--user", "--net", "--mount", "--preserve-credentials"),
            f"--wd={directory}",
        )

    def redirect(self) -> None:
        """From now on every TCP connection that is not to loopback comes to :data:`PORT`."""
        self.filter(REDIRECT)

    def filter(self, rules: str) -> None:
        """Adds rules to the packet filter."""
        self.run("nft", "-f", "-", stdin=rules, check=True)

    def run(
        self, *argv: str, env: Mapping[str, str] | None = None, stdin: str = "", check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """A program inside."""
        return subprocess.run(
            [*self.enter, *argv],
            input=stdin,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"] + ":/usr/sbin"} | dict(env or {}),
            timeout=LIMIT,
            check=check,
        )

    def listen(self, host: str, port: int) -> socket.socket:
        """A listening socket of the inside, for use outside."""
        return self._ask("listen", host, port)

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection that was dialled inside. Raises :class:`ConnectionError`."""
        return self._ask("connect", host, port)

    def _ask(self, do: str, host: str, port: int) -> socket.socket:
        self._control.send(json.dumps({"do": do, "host": host, "port": port}).encode())
        answer, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
        if answer != b"ok":
            raise ConnectionError(answer.decode())
        return socket.socket(fileno=descriptors[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._control.close()
        self._process.wait(LIMIT)
