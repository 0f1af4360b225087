"""Before the load: does the contender do the work at all?"""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING

from bench.upstream import DUMMY_KEY, FORBIDDEN, HOST, REAL_KEY, SMALL, SMALL_OCTETS

if TYPE_CHECKING:
    import socket

    from bench.contenders.contender import Route
    from bench.upstream import Upstream


def check(route: Route, upstream: Upstream) -> str:
    """What is wrong with a contender, if anything: it must answer, decide by path, and put the real key in."""
    if route.proxy is None:
        expected = {(SMALL, REAL_KEY): 200, (SMALL, DUMMY_KEY): 401}
    else:
        expected = {(SMALL, DUMMY_KEY): 200, (FORBIDDEN, DUMMY_KEY): 403}
    for (path, key), status in expected.items():
        try:
            got, octets = _fetch(route, upstream, path, key)
        except (OSError, http.client.HTTPException) as error:
            return f"{path}: {error}"
        if got != status or (status == 200 and octets != SMALL_OCTETS):
            return f"{path}: status {got} with {octets} octets, expected {status}"
    return ""


def _fetch(route: Route, upstream: Upstream, path: str, key: str) -> tuple[int, int]:
    """Status and length of an answer, over TLS that is verified against what the contender's clients would trust."""
    context = ssl.create_default_context(cafile=str(route.authority))
    address, _, port = (route.proxy or upstream.address).partition(":")
    connection = http.client.HTTPConnection(address, int(port), timeout=20)
    try:
        connection.connect()
        if route.proxy:
            _ask_for_tunnel(connection.sock, upstream.name)
        connection.sock = context.wrap_socket(connection.sock, server_hostname=HOST)
        connection.request("GET", path, headers={"host": upstream.name, "x-api-key": key})
        answer = connection.getresponse()
        return answer.status, len(answer.read())
    finally:
        connection.close()


def _ask_for_tunnel(sock: socket.socket, name: str) -> None:
    """As the load generator does; ``http.client`` before Python 3.12 would do so in HTTP/1.0."""
    sock.sendall(f"CONNECT {name} HTTP/1.1\r\nhost: {name}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = sock.recv(1024)
        if not piece:
            raise ConnectionError("the proxy hung up on CONNECT")
        answer += piece
    if answer.split()[1] != b"200":
        raise ConnectionError(f"CONNECT: {answer[:100]!r}")
