"""gRPC through the gateway: grpcio's own client and server, with HTTP/2 on both sides."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest

from tests.support.grpc_server import LARGE, GrpcServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trustme

    from tests.support.serve import Serve

KEY = "sk-ant-test-REAL-0123456789abcdefghij"
POLICY = """
secrets:
  key: {{env: KEY}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: [POST /test.Service/*]
    deny: [POST /test.Service/Forbidden]
    inject: [{{header: x-api-key, secret: key}}]
"""
LIMIT = 30


@pytest.fixture
def server(server_ca: trustme.CA) -> Iterator[GrpcServer]:
    one = GrpcServer(server_ca, "api.test")
    yield one
    one.close()


@pytest.fixture
def gateway(serve: Callable[..., Serve], server: GrpcServer) -> Serve:
    return serve(POLICY.format(port=server.port), env={"KEY": KEY})


@pytest.fixture
def channel(gateway: Serve) -> Iterator[Any]:
    trust = grpc.ssl_channel_credentials(Path(gateway.ca).read_bytes())
    options = [("grpc.http_proxy", f"http://{gateway.address}"), *LARGE]
    with grpc.secure_channel("api.test:443", trust, options=options) as one:
        yield one


def unary(channel: Any, method: str = "Echo") -> Any:
    return channel.unary_unary(f"/test.Service/{method}")


def test_a_unary_call(channel: Any, server: GrpcServer, gateway: Serve) -> None:
    mine = [("x-api-key", "mine"), ("authorization", "Bearer mine"), ("x-stays", "1")]
    answer, call = unary(channel).with_call(b"hello", timeout=LIMIT, metadata=mine)
    assert answer == b"hello"
    assert dict(call.initial_metadata())["x-initial"] == "first"
    assert {"x-trailing": "last", "x-binary-bin": b"\0\1"}.items() <= dict(call.trailing_metadata()).items()
    ((_, seen, _),) = server.calls
    assert (seen["x-api-key"], seen["x-stays"]) == (KEY, "1")
    assert "mine" not in str(seen), "the client's own credentials do not go out"
    gateway.stop()
    end = gateway.journal()[-1]
    assert (end["phase"], end["method"], end["path"], end["status"]) == ("end", "POST", "/test.Service/Echo", 200)
    assert end["secrets"] == ["key"]


def test_what_the_policy_does_not_allow(channel: Any, server: GrpcServer) -> None:
    for method in ("/test.Service/Forbidden", "/other.Service/Echo"):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(method)(b"hello", timeout=LIMIT)
        error: Any = caught.value
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED
        assert f"POST api.test{method}" in error.details()
    assert server.calls == []


def test_a_host_that_the_policy_does_not_allow(gateway: Serve, server: GrpcServer) -> None:
    trust = grpc.ssl_channel_credentials(Path(gateway.ca).read_bytes())
    options = [("grpc.http_proxy", f"http://{gateway.address}")]
    with (
        grpc.secure_channel("other.test:443", trust, options=options) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        unary(channel)(b"hello", timeout=LIMIT)
    error: Any = caught.value
    assert error.code() == grpc.StatusCode.UNAVAILABLE, "there is no tunnel to ask in"
    assert server.calls == []


def test_a_thousand_messages_from_the_server(channel: Any) -> None:
    answers = list(channel.unary_stream("/test.Service/Count")(b"1000", timeout=LIMIT))
    assert answers == [b"%d" % number for number in range(1000)]


def test_a_thousand_messages_from_the_client(channel: Any) -> None:
    numbers = (b"%d" % number for number in range(1000))
    assert channel.stream_unary("/test.Service/Sum")(numbers, timeout=LIMIT) == b"499500"


def test_a_conversation(channel: Any) -> None:
    """Each answer comes before the next message is said, whatever it ends with."""
    said: queue.Queue[bytes | None] = queue.Queue()
    answers = channel.stream_stream("/test.Service/Talk")(iter(said.get, None), timeout=LIMIT)
    for number in range(100):
        message = b"%d" % number + KEY[: number % 5].encode()  # what may be the beginning of the secret is held back
        said.put(message)
        assert next(answers) == b"you said " + message
    said.put(None)
    assert list(answers) == []


def test_large_messages(channel: Any) -> None:
    message = bytes(range(256)) * (4 << 12)  # 4 MiB
    assert unary(channel)(message, timeout=LIMIT) == message
    said = iter([message, message])
    answers = channel.stream_stream("/test.Service/Talk")(said, timeout=LIMIT)
    assert list(answers) == [b"you said " + message] * 2


def test_many_calls_share_a_connection(channel: Any, server: GrpcServer) -> None:
    calls = [unary(channel).future(b"%d" % number, timeout=LIMIT) for number in range(80)]
    assert [call.result() for call in calls] == [b"%d" % number for number in range(80)]
    assert len({peer for _, _, peer in server.calls}) == 1


def test_agents_do_not_share_a_connection(serve: Callable[..., Serve], server: GrpcServer) -> None:
    policy = POLICY.format(port=server.port).replace("key: {env: KEY}", "key: {env: KEY}\n  t: {env: T}\n  u: {env: U}")
    agents = "\nagents:\n  a: {secret: t}\n  b: {secret: u}\n"
    gateway = serve(policy + agents, env={"KEY": KEY, "T": "token-of-a-123", "U": "token-of-b-123"})
    trust = grpc.ssl_channel_credentials(Path(gateway.ca).read_bytes())
    for login in ("a:token-of-a-123", "b:token-of-b-123"):
        options = [("grpc.http_proxy", f"http://{login}@{gateway.address}")]
        with grpc.secure_channel("api.test:443", trust, options=options) as channel:
            assert unary(channel)(b"x", timeout=LIMIT) == b"x"
    assert len({peer for _, _, peer in server.calls}) == 2


def test_a_status_with_its_details(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        unary(channel, "Fail")(b"", timeout=LIMIT)
    error: Any = caught.value
    assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "nö: 100 %")
    assert dict(error.trailing_metadata())["x-why"] == "because"


def test_a_method_that_the_server_does_not_know(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        unary(channel, "Unknown")(b"", timeout=LIMIT)
    error: Any = caught.value
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, "the server's own answer"


def test_what_the_server_gives_away_is_scrubbed(channel: Any) -> None:
    call = channel.unary_stream("/test.Service/Leak")(b"", timeout=LIMIT)
    first, second = next(call), next(call)
    with pytest.raises(grpc.RpcError):
        next(call)
    shown = first.removeprefix(b"the key is ")
    assert len(shown) == len(KEY)
    assert second == shown * 3
    everything = repr((first, second, call.initial_metadata(), call.trailing_metadata(), call.details()))
    assert KEY not in everything
    assert everything.count(shown.decode()) == 7


def test_without_redaction_it_is_given_away(serve: Callable[..., Serve], server: GrpcServer) -> None:
    gateway = serve(POLICY.format(port=server.port) + "    redact: false\n", env={"KEY": KEY})
    trust = grpc.ssl_channel_credentials(Path(gateway.ca).read_bytes())
    options = [("grpc.http_proxy", f"http://{gateway.address}")]
    with grpc.secure_channel("api.test:443", trust, options=options) as channel:
        call: Any = cast(Any, channel).unary_stream("/test.Service/Leak")(b"", timeout=LIMIT)
        assert next(call) == b"the key is " + KEY.encode()


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_server_that_compresses_unasked_gives_away_nothing(
    serve: Callable[..., Serve], server_ca: trustme.CA, compression: Any
) -> None:
    server = GrpcServer(server_ca, "api.test", compression=compression)
    policy = POLICY.format(port=server.port)
    for redact, gives_away in ((True, False), (False, True)):
        gateway = serve(policy + f"    redact: {str(redact).lower()}\n", env={"KEY": KEY})
        trust = grpc.ssl_channel_credentials(Path(gateway.ca).read_bytes())
        options = [("grpc.http_proxy", f"http://{gateway.address}"), *LARGE]
        with grpc.secure_channel("api.test:443", trust, options=options) as channel:
            call: Any = cast(Any, channel).unary_stream("/test.Service/Leak")(b"", timeout=LIMIT)
            assert (KEY.encode() in next(call)) is gives_away
            assert (KEY.encode() in next(call)) is gives_away
            numbers: Any = cast(Any, channel).unary_stream("/test.Service/Count")(b"50", timeout=LIMIT)
            assert list(numbers) == [b"%d" % number for number in range(50)]
    server.close()


def test_a_cancelled_call_ends_at_the_server(channel: Any, server: GrpcServer) -> None:
    call: Any = channel.unary_stream("/test.Service/Hang")(b"")
    assert next(call) == b"still there"
    assert server.hanging.wait(LIMIT)
    assert not server.ended.is_set()
    call.cancel()
    assert server.ended.wait(LIMIT)
    assert unary(channel)(b"x", timeout=LIMIT) == b"x", "and the others go on"
    assert len({peer for _, _, peer in server.calls}) == 1


def test_a_deadline_ends_a_call_at_the_server(channel: Any, server: GrpcServer) -> None:
    call: Any = channel.unary_stream("/test.Service/Hang")(b"", timeout=1)
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    error: Any = caught.value
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.ended.wait(LIMIT)


def test_a_call_whose_server_ends(channel: Any, server: GrpcServer) -> None:
    call: Any = channel.unary_stream("/test.Service/Hang")(b"", timeout=LIMIT)
    assert next(call) == b"still there"
    threading.Thread(target=server.close).start()
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    error: Any = caught.value
    assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL}
    server.ended.set()
