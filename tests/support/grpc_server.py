"""A real gRPC server, by grpcio. Messages are plain octets: what is tested does not depend on what they mean."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trustme

LARGE = [("grpc.max_receive_message_length", 16 << 20), ("grpc.max_send_message_length", 16 << 20)]


class GrpcServer(grpc.GenericRpcHandler):
    """Serves ``/test.Service/…`` on 127.0.0.1. ``calls`` are (method, metadata, peer) as it saw them."""

    def __init__(self, ca: trustme.CA, host: str, *, compression: Any = None) -> None:
        self.host = host
        self.calls: list[tuple[str, dict[str, str], str]] = []
        self.ended = threading.Event()
        """Set when a call to ``Hang`` has ended, whoever ended it."""
        self.hanging = threading.Event()
        self._methods: dict[str, Any] = {
            "Echo": grpc.unary_unary_rpc_method_handler(self._echo),
            "Count": grpc.unary_stream_rpc_method_handler(self._count),
            "Sum": grpc.stream_unary_rpc_method_handler(self._sum),
            "Talk": grpc.stream_stream_rpc_method_handler(self._talk),
            "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "Leak": grpc.unary_stream_rpc_method_handler(self._leak),
            "Hang": grpc.unary_stream_rpc_method_handler(self._hang),
        }
        certificate = ca.issue_cert(host)
        chain = b"".join(one.bytes() for one in certificate.cert_chain_pems)
        credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
        self._server = grpc.server(ThreadPoolExecutor(16), handlers=[self], options=LARGE, compression=compression)
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def service(self, details: Any) -> Any:
        """See :class:`grpc.GenericRpcHandler`."""
        return self._methods.get(details.method.removeprefix("/test.Service/"))

    def close(self) -> None:
        self._server.stop(None).wait(10)

    def _seen(self, method: str, context: Any) -> dict[str, str]:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self.calls.append((method, metadata, context.peer()))
        return metadata

    def _echo(self, request: bytes, context: Any) -> bytes:
        self._seen("Echo", context)
        context.send_initial_metadata([("x-initial", "first")])
        context.set_trailing_metadata([("x-trailing", "last"), ("x-binary-bin", b"\0\1")])
        return request

    def _count(self, request: bytes, context: Any) -> Iterator[bytes]:
        self._seen("Count", context)
        for number in range(int(request)):
            yield b"%d" % number

    def _sum(self, requests: Iterator[bytes], context: Any) -> bytes:
        self._seen("Sum", context)
        return b"%d" % sum(map(int, requests))

    def _talk(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        self._seen("Talk", context)
        for request in requests:
            yield b"you said " + request

    def _fail(self, request: bytes, context: Any) -> bytes:
        self._seen("Fail", context)
        context.set_trailing_metadata([("x-why", "because")])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nö: 100 %")
        raise AssertionError

    def _leak(self, request: bytes, context: Any) -> Iterator[bytes]:
        """Gives away what it was given, everywhere."""
        key = self._seen("Leak", context).get("x-api-key", "")
        context.send_initial_metadata([("x-initial", key)])
        context.set_trailing_metadata([("x-trailing", key)])
        yield b"the key is " + key.encode()
        yield key.encode() * 3
        context.set_code(grpc.StatusCode.INTERNAL)
        context.set_details(f"it was {key}")

    def _hang(self, request: bytes, context: Any) -> Iterator[bytes]:
        self._seen("Hang", context)
        context.add_callback(self.ended.set)
        yield b"still there"
        self.hanging.set()
        self.ended.wait(60)
