"""gRPC as a program in the sandbox speaks it: grpcio, which knows nothing of a gateway but its environment."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.clients.conftest import VALUE, Desk
from tests.support.grpc_server import GrpcServer

if TYPE_CHECKING:
    import trustme

pytestmark = pytest.mark.needs("bubblewrap")

CLIENT = """
import os, queue, grpc
said = queue.Queue()
with grpc.secure_channel("api.test:443", grpc.ssl_channel_credentials()) as channel:
    print(channel.unary_unary("/test.Service/Echo")(b"hello", timeout=30, metadata=[("authorization", "Bearer mine")]))
    answers = channel.stream_stream("/test.Service/Talk")(iter(said.get, None), timeout=30)
    for word in (b"one", b"two"):
        said.put(word)
        print(next(answers))
    said.put(None)
    for method in ("Forbidden", "Echo"):
        host = "api.test" if method == "Forbidden" else "other.test"
        with grpc.secure_channel(host + ":443", grpc.ssl_channel_credentials()) as other:
            try:
                other.unary_unary("/test.Service/" + method)(b"", timeout=30)
            except grpc.RpcError as error:
                print(error.code().name, error.details())
"""


@pytest.mark.parametrize("desk", ["self", "unprivileged"], indirect=True)
def test_grpcio_in_the_sandbox(desk: Desk, server_ca: trustme.CA) -> None:
    with closing(GrpcServer(server_ca, "api.test")) as server:
        desk.allow(cast(Any, server), "POST /test.Service/Echo", "POST /test.Service/Talk")
        python = Path(sys.executable)
        desk.caller.environment["PATH"] = f"{python.parent}:/usr/bin:/bin"
        desk.caller.file(desk.caller.workspace / "client.py", CLIENT)
        done = desk.inside(f"{python} client.py")
    assert done.stdout.splitlines()[:3] == ["b'hello'", "b'you said one'", "b'you said two'"], done.stderr
    refused, unknown = done.stdout.splitlines()[3:]
    assert refused.startswith("PERMISSION_DENIED POST api.test/test.Service/Forbidden is not allowed by the policy.")
    assert unknown.startswith("UNAVAILABLE")
    assert [method for method, _, _ in server.calls] == ["Echo", "Talk"]
    assert {seen["authorization"] for _, seen, _ in server.calls} == {f"Bearer {VALUE}"}
    desk.assert_recorded("api.test")
