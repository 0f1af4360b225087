"""A request whose signature has to be made anew: between the head as it is read and as it is sent, and the form that signs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import Code, Request, authority
from outward.core.records import NamedTuple
from outward.credentials.forms.signing import Unsigned
from outward.gateway.denial import Refused
from outward.gateway.http1 import RequestHead, parse_response
from outward.gateway.rewrite import request_lines

if TYPE_CHECKING:
    from outward.credentials.forms.signing import BodyFilter, Signing
    from outward.credentials.injector import Injector

CONTINUE: Final = parse_response(b"HTTP/1.1 100 Continue\r\n\r\n")
"""For a client that waits for it, where all of its body is needed before the server is asked anything."""

MAX_SIGNED: Final = 32 * 1024 * 1024
"""Octets of a body that are kept because its hash stands in the head. The largest calls of AWS that want one are smaller."""

MAX_SIGNED_TOGETHER: Final = 256 * 1024 * 1024
"""Octets of all such bodies of a gateway."""


class Room:
    """Octets that all gathered bodies of a gateway may take up together."""

    def __init__(self, limit: int = MAX_SIGNED_TOGETHER) -> None:
        self._left = limit

    def take(self, octets: int) -> None:
        """Raises :class:`Refused` where there is no room."""
        if octets > self._left:
            hint = "Try again when fewer uploads are under way."
            raise Refused(Code.BUDGET_EXCEEDED, "too many bodies are waiting to be signed", hint=hint)
        self._left -= octets

    def give(self, octets: int) -> None:
        """Undoes :meth:`take`."""
        self._left += octets


class Outgoing(NamedTuple):
    """What is sent: ``injector`` is for the rest of the way, ``body`` changes the body if it is not ``None``."""

    head: RequestHead
    request: Request
    injector: Injector
    body: BodyFilter | None = None


def read(head: RequestHead, request: Request, injector: Injector) -> Signing | None:
    """How the request is to be signed, if it is. Raises :class:`ClientError` for what cannot be."""
    if injector.signer is None:
        return None
    fields = [(name, value) for _, name, value in head.fields]
    return injector.signer.read(_unsigned(head, request, request.query, fields, None))


def signed(signing: Signing, head: RequestHead, request: Request, injector: Injector, body: bytes | None) -> Outgoing:
    """The request with all that is put into it, and signed. ``body`` is all of it where that is needed.

    Raises :class:`ClientError`, :class:`SecretUnavailable`.
    """
    assert injector.passing is not None, "it has a form that signs"
    lines = [line.partition(": ") for line in request_lines(head, injector)]
    fields = [(name, value) for name, _, value in lines if body is None or name.lower() != "expect"]
    query, fields, change = injector.sign(
        signing, _unsigned(head, request, injector.query(request.query), fields, body)
    )
    sent = RequestHead(
        head.text,
        head.method,
        head.target,
        head.minor,
        [(name.lower(), name, value) for name, value in fields],
        head.length if body is None else len(body),
        head.keep_alive,
        head.host,
        None,
        head.expect_continue and body is None,
        head.websocket,
        frozenset(),  # they are gone
    )
    with_query = Request(
        request.agent,
        request.method,
        request.scheme,
        request.host,
        request.port,
        request.path,
        request.folded,
        query,
        request.headers,
    )
    return Outgoing(sent, with_query, injector.passing, change)


def _unsigned(
    head: RequestHead, request: Request, query: str, fields: list[tuple[str, str]], body: bytes | None
) -> Unsigned:
    host = authority(request.host, request.port, request.scheme)
    return Unsigned(request.method, request.scheme, host, request.path, query, fields, head.length == 0, body)
