"""An OAuth server on loopback that trusts no token twice, and an API that wants the last one that it has issued."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from tests.support.upstream import answer, read_request

if TYPE_CHECKING:
    from tests.support.upstream import Seen, Upstream


def jwt(number: int) -> str:
    parts = ({"alg": "RS256", "typ": "JWT"}, {"email": "me@corp.example", "exp": 2_000_000_000 + number})
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join((*texts, f"REALsignature{number:030d}"))


@dataclass
class TokenServer:
    """``issued`` are all tokens so far; ``more`` goes into each answer. ``form``: answers are forms, as GitHub's are.

    ``status``, ``kind`` and ``body`` replace what it would answer. ``compressed``: by gzip, although nobody asked for it.
    """

    form: bool = False
    signed: bool = False
    compressed: bool = False
    more: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    kind: str = ""
    body: bytes | None = None
    headers: str = ""
    issued: list[str] = field(default_factory=list)
    replayed: list[str] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    access: str = ""
    refresh: str = ""
    pause: float = 0.0
    _numbers: Any = field(default_factory=lambda: count(1))

    def _issue(self) -> dict[str, Any]:
        number = next(self._numbers)
        self.access = jwt(number) if self.signed else f"sk-ant-oat01-REALaccess{number:030d}-AA"
        self.refresh = f"sk-ant-ort01-REALrefresh{number:030d}-AA"
        self.issued += (self.access, self.refresh)
        return {"access_token": self.access, "refresh_token": self.refresh, "expires_in": 28800, **self.more}

    def _token(self, seen: Seen) -> tuple[int, dict[str, Any]]:
        text = seen.body.decode()
        sent = json.loads(text) if "json" in seen["content-type"] else dict(parse_qsl(text))
        self.asked.append(sent)
        if sent.get("grant_type") != "refresh_token":
            return 200, self._issue()
        if sent.get("refresh_token") == self.refresh:
            return 200, self._issue()
        if sent.get("refresh_token") in self.issued:
            self.replayed.append(sent["refresh_token"])
        return 400, {"error": "invalid_grant", "error_description": f"what is {sent.get('refresh_token')}?"}

    async def __call__(self, server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See :class:`tests.support.upstream.Upstream`."""
        while (seen := await read_request(reader)) is not None:
            server.seen.append(seen)
            if seen.target.startswith("/api"):
                good = dict(seen.headers).get("authorization") == f"Bearer {self.access}"
                writer.write(answer(200 if good else 401, json.dumps(seen.headers).encode()))
                continue
            status, document = self._token(seen)
            await asyncio.sleep(self.pause)
            body = urlencode(document).encode() if self.form else json.dumps(document).encode()
            coding = ""
            if self.compressed:
                body, coding = gzip.compress(body), "content-encoding: gzip\r\n"
            kind = "application/x-www-form-urlencoded" if self.form else "application/json; charset=utf-8"
            writer.write(
                answer(
                    status if self.status == 200 else self.status,
                    body if self.body is None else self.body,
                    f"content-type: {self.kind or kind}\r\n{coding}{self.headers}",
                )
            )
            await writer.drain()
