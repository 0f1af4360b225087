"""A server outside, as a client inside would meet one: it notes who came, and is polite to all of them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from outward.core.records import NamedTuple
from outward.pki import Authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

DOMAIN: Final = "doctor.test"
"""A name that exists nowhere (RFC 6761 §6.2)."""

_REFS: Final = b"0123456789abcdef0123456789abcdef01234567\trefs/heads/main\n"


class StandIn(NamedTuple):
    """``ports`` by scheme, ``ca`` the file with the root of its certificates, ``seen`` who came: scheme and host."""

    ports: dict[str, int]
    ca: Path
    seen: set[tuple[str, str]]


@contextmanager
def stand_in(directory: Path) -> Iterator[StandIn]:
    """Serves on loopback until the end of the context, over TLS and in the clear."""
    authority = Authority.open(directory / "stand-in")
    context = authority.server_context(DOMAIN)

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = authority.server_context(name or DOMAIN)

    context.sni_callback = choose
    seen: set[tuple[str, str]] = set()
    secure, plain = _server("https", seen), _server("http", seen)
    # Handshakes are part of accepting, in the one thread that may ask the authority.
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in (secure, plain)]
    for thread in threads:
        thread.start()
    try:
        yield StandIn(
            {"https": secure.server_address[1], "http": plain.server_address[1]}, authority.certificate_file, seen
        )
    finally:
        for server, thread in zip((secure, plain), threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, _request: object, _client: object) -> None:
        """Connections that fail are what is being found out."""


def _server(scheme: str, seen: set[tuple[str, str]]) -> _Server:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.add((scheme, self.headers.get("host", "").partition(":")[0]))
            body = _REFS if self.path.partition("?")[0].endswith("/info/refs") else b"outward doctor\n"
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 (the base class's names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            """Nothing: the terminal is for findings."""

    return _Server(("127.0.0.1", 0), Handler)
