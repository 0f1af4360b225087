"""A stand-in for the Messages API: accepts one key, answers like a model, and can ask for one tool call.

``python -m demo.messages_api --key KEY --certificate PEM`` serves HTTPS on 127.0.0.1, any free port, and prints it. It
drives real clients offline: streams server-sent events where the client wants them, answers 401 to any other key.
"""

from __future__ import annotations

import argparse
import json
import ssl
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Behaviour:
    """What the stand-in does. ``tool`` is a shell command that the model asks the agent to run first."""

    key: str
    text: str = "Hello from the other side of the gateway."
    tool: str | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    """What was seen: method, path, headers and the body where it was JSON."""


class Handler(BaseHTTPRequestHandler):
    """One connection. ``behaviour`` is set on the class that :func:`serve` makes."""

    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing on standard error."""

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _any(self) -> None:
        raw = self._body()
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        path = self.path.partition("?")[0]
        seen = {"method": self.command, "path": self.path, "headers": dict(self.headers.items()), "body": body}
        self.behaviour.requests.append(seen)
        given = {self.headers.get("x-api-key"), self.headers.get("authorization", "").removeprefix("Bearer ")}
        if self.behaviour.key not in given:
            error = {"type": "authentication_error", "message": "invalid x-api-key"}
            self._answer(401, {"type": "error", "error": error})
        elif path == "/v1/messages/count_tokens":
            self._answer(200, {"input_tokens": 42})
        elif path == "/v1/messages" and self.command == "POST" and isinstance(body, dict):
            self._messages(body)
        elif self.command == "HEAD":
            self._answer(200, {})
        else:
            self._answer(404, {"type": "error", "error": {"type": "not_found_error", "message": path}})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _any

    def _messages(self, body: dict[str, Any]) -> None:
        message = {
            "id": f"msg_{uuid.uuid4().hex[:20]}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", "stand-in"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 5},
        }
        block, reason = self._next_block(body)
        if body.get("stream"):
            self._stream(message, block, reason)
        else:
            self._answer(200, {**message, "content": [block], "stop_reason": reason})

    def _next_block(self, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
        contents = [m.get("content") for m in body.get("messages", [])]
        results = [
            c for content in contents if isinstance(content, list) for c in content if c.get("type") == "tool_result"
        ]
        has_shell = any(tool.get("name") == "Bash" for tool in body.get("tools", []))
        if self.behaviour.tool and has_shell and not results:
            call = {"command": self.behaviour.tool, "description": "run"}
            return {
                "type": "tool_use",
                "id": f"toolu_{uuid.uuid4().hex[:20]}",
                "name": "Bash",
                "input": call,
            }, "tool_use"
        return {"type": "text", "text": self.behaviour.text}, "end_turn"

    def _stream(self, message: dict[str, Any], block: dict[str, Any], reason: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        if block["type"] == "text":
            empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty, delta = (
                {**block, "input": {}},
                {"type": "input_json_delta", "partial_json": json.dumps(block["input"])},
            )
        self._event("message_start", message=message)
        self._event("content_block_start", index=0, content_block=empty)
        self._event("ping")
        self._event("content_block_delta", index=0, delta=delta)
        self._event("content_block_stop", index=0)
        self._event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 5})
        self._event("message_stop")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, kind: str, **values: object) -> None:
        data = f"event: {kind}\ndata: {json.dumps({'type': kind, **values})}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()


def serve(behaviour: Behaviour, certificate: Path) -> ThreadingHTTPServer:
    """A server on 127.0.0.1, any free port; call its ``serve_forever``. ``certificate`` holds chain and key (PEM)."""
    handler = type("BoundHandler", (Handler,), {"behaviour": behaviour})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key", required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--tool")
    arguments = parser.parse_args()
    server = serve(Behaviour(arguments.key, tool=arguments.tool), arguments.certificate)
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
