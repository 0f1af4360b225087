"""The work: a server that answers only to the real key, and the rules by which a proxy lets a request through to it."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bench.process import running, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORK: Final = Path(__file__).parent / ".work"
HOST: Final = "bench.example"
REAL_KEY: Final = "sk-bench-real-0123456789abcdef0123456789abcdef"
DUMMY_KEY: Final = "sk-bench-dummy-0123456789abcdef0123456789abcde"
SMALL: Final = "/v1/items/small"
BIG: Final = "/v1/items/big"
EVENTS: Final = "/v1/items/events"
"""An answer that does not end; see :mod:`bench.events`."""
FORBIDDEN: Final = "/v1/admin/small"
SMALL_OCTETS: Final = 1024
BIG_OCTETS: Final = 1 << 30

RULES: Final = (*(f"/api/v{number}/*/items" for number in range(49)), "/v1/items/*")
"""Fifty path rules, ``*`` standing for one segment; the last one lets the benchmark's requests through."""

SIZES: Final = tuple(1 << shift for shift in range(10, 23, 3))
"""Octets of the bodies that :func:`sized` names."""

_NGINX: Final = """
daemon off; master_process off; pid {work}/nginx.pid; error_log {work}/nginx.log warn;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; sendfile on; tcp_nodelay on;
  client_body_temp_path {work}/nginx-tmp; proxy_temp_path {work}/nginx-tmp; fastcgi_temp_path {work}/nginx-tmp;
  uwsgi_temp_path {work}/nginx-tmp; scgi_temp_path {work}/nginx-tmp;
  ssl_certificate {work}/upstream.pem; ssl_certificate_key {work}/upstream.key; ssl_protocols TLSv1.2 TLSv1.3;
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096; root {work}/www; default_type application/octet-stream;
    if ($http_x_api_key != "{key}") {{ return 401; }}
    location = {events} {{
      proxy_pass http://127.0.0.1:{events_port}; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 600s;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A running server. ``authority`` signed its certificate; ``pid`` is its one process."""

    port: int
    authority: Path
    pid: int

    @property
    def name(self) -> str:
        """``host:port`` as clients ask for it. The host resolves nowhere: each contender is told the address."""
        return f"{HOST}:{self.port}"

    @property
    def address(self) -> str:
        """``address:port`` to dial."""
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving() -> Iterator[Upstream]:
    """The upstream, for the duration of the block."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if nginx is None:
        raise SystemExit("the benchmark needs nginx as the server at the far end: install the package nginx")
    port = free_port()
    with running([sys.executable, "-m", "bench.events"]) as events:
        assert events.stdout is not None
        authority = _prepare(port, int(events.stdout.readline()))
        command = [nginx, "-p", str(WORK), "-e", str(WORK / "nginx.log"), "-c", str(WORK / "nginx.conf")]
        with running(command) as process:
            wait_for_port(port, process)
            yield Upstream(port, authority, process.pid)


def _prepare(port: int, events_port: int) -> Path:
    """Writes the server's files and configuration; gives its authority's certificate."""
    for kind in ("items", "admin"):
        (WORK / "www" / "v1" / kind).mkdir(parents=True, exist_ok=True)
        (WORK / "www" / "v1" / kind / "small").write_bytes(b"0123456789abcde\n" * (SMALL_OCTETS // 16))
    for size in SIZES:
        (WORK / "www" / sized(size)[1:]).write_bytes(bytes(size))
    with (WORK / "www" / BIG[1:]).open("wb") as file:
        file.truncate(BIG_OCTETS)  # zeros that take no room on the disk
    with (WORK / "www" / BIG[1:]).open("rb") as file:
        while file.read(1 << 20):
            pass  # the first download is not to wait for the file system
    (WORK / "nginx.conf").write_text(
        _NGINX.format(work=WORK, port=port, key=REAL_KEY, events=EVENTS, events_port=events_port)
    )
    return write_certificates(WORK / "upstream")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One benchmark at a time: two would share their files, and the processors."""
    with (WORK / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another benchmark is running here") from None
        yield


def sized(octets: int) -> str:
    """The path of a body of one of :data:`SIZES`."""
    return f"/v1/items/of-{octets}"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, for servers that cannot choose and tell one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def write_certificates(stem: Path, hosts: Sequence[str] = (HOST,)) -> Path:
    """Makes ``stem.pem`` and ``stem.key`` for ``hosts``, signed by an authority of its own; gives the authority's file."""
    now = dt.datetime.now(dt.UTC)

    def certificate(common_name: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
        )

    issuer = f"bench {stem.name} authority"
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = (
        certificate(issuer, issuer, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        certificate(hosts[0], issuer, key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    stem.with_suffix(".pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    stem.with_suffix(".key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file = stem.with_name(f"{stem.name}-authority.pem")
    file.write_bytes(authority.public_bytes(Encoding.PEM))
    return file
