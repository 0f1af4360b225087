"""A stand-in for the Responses API, by POST with server-sent events and by WebSocket, that can ask for one tool call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tests.clients.site import Asked, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase


@dataclass
class Model:
    """What it says, after the result of ``tool``, a shell command, where there is one.

    Without ``websocket`` it sends whoever wants to open one back to POST, as servers of the real API may. ``requests`` is what
    it was asked, and by which way.
    """

    text: str = "Hello from the other side of the gateway."
    tool: str | None = None
    websocket: bool = True
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Reply:
        if asked.path != "/v1/responses":
            return Reply(404)
        if asked.method == "GET":
            return Reply(talk=lambda rfile, wfile: self._talk(asked, rfile, wfile)) if self.websocket else Reply(426)
        events = self._answer("POST", json.loads(asked.body))
        body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return Reply(body=body.encode(), headers=(("content-type", "text/event-stream"),))

    @property
    def ways(self) -> set[str]:
        return {way for way, _ in self.requests}

    @property
    def tool_result(self) -> str:
        """What the agent sent back as the result of the tool call."""
        items = [item for _, request in self.requests for item in request["input"]]
        (result,) = [item for item in items if item["type"] == "function_call_output"]
        return str(result["output"])

    def _talk(self, asked: Asked, rfile: BufferedIOBase, wfile: BufferedIOBase) -> None:
        protocol = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()], max_size=None)
        protocol.receive_data(Request(asked.path, Headers(asked.headers.items())).serialize())
        (request,) = protocol.events_received()
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        message = b""
        while True:
            wfile.writelines(protocol.data_to_send())
            wfile.flush()
            if not (data := rfile.read1(1 << 16)):
                return
            protocol.receive_data(data)
            for frame in protocol.events_received():
                assert isinstance(frame, Frame)
                if frame.opcode not in {Opcode.TEXT, Opcode.CONT}:
                    continue
                message += frame.data
                if frame.fin:
                    for event in self._answer("WebSocket", json.loads(message)):
                        protocol.send_text(json.dumps(event).encode())
                    message = b""

    def _answer(self, way: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self.requests.append((way, request))
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        yield {"type": "response.created", "response": {"id": "resp_1"}}
        yield {"type": "response.output_item.done", "item": self._item(request)}
        yield {"type": "response.completed", "response": {"id": "resp_1", "usage": usage}}

    def _item(self, request: dict[str, Any]) -> dict[str, Any]:
        has_shell = any(tool.get("name") == "exec_command" for tool in request.get("tools", []))
        has_result = any(item["type"] == "function_call_output" for item in request["input"])
        if self.tool is not None and has_shell and not has_result:
            arguments = json.dumps({"cmd": self.tool, "login": False})
            return {"type": "function_call", "name": "exec_command", "call_id": "call_1", "arguments": arguments}
        text = {"type": "output_text", "text": self.text}
        return {"type": "message", "role": "assistant", "id": "msg_1", "content": [text]}
