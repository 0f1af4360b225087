"""Bodies that are kept for their signature: how much of them there may be, and that nothing of it is lost."""

from __future__ import annotations

import pytest

from outward.core import ClientError, Code, Destination, Injection, Request
from outward.credentials import CredentialStore
from outward.credentials.injector import Injector
from outward.gateway.attempt import Attempt
from outward.gateway.denial import Refused
from outward.gateway.http1 import RequestHead, parse_request
from outward.gateway.signing import MAX_SIGNED, Room
from outward.policy import SecretSpec

KEYS = (("access_key", "id"), ("secret_key", "key"))


@pytest.fixture
def injector() -> Injector:
    specs = {name: SecretSpec(name, "env", name.upper()) for name in ("id", "key")}
    store = CredentialStore(specs, environment={"ID": "AKIATEST", "KEY": "synthetic-key"})
    form = Injection("sigv4", ("id", "key"), settings=KEYS)
    return Injector(Destination("d", "sqs.eu-west-1.amazonaws.com", 443, "https", (), (form,)), store)


def post(*lines: str) -> tuple[RequestHead, Request]:
    text = "".join(f"{line}\r\n" for line in ("POST / HTTP/1.1", "Host: sqs.eu-west-1.amazonaws.com", *lines, ""))
    return parse_request(text.encode()), Request("a", "POST", "https", "sqs.eu-west-1.amazonaws.com", 443, "/", "/")


def gathering(injector: Injector) -> Attempt:
    head, request = post("Transfer-Encoding: chunked")
    attempt = Attempt(head, http2=False)
    assert attempt.must_gather(request, injector)
    return attempt


def test_only_so_much_is_kept_of_one_body(injector: Injector) -> None:
    attempt, room = gathering(injector), Room()
    attempt.gather(b"x" * MAX_SIGNED, room)
    with pytest.raises(ClientError, match="octets"):
        attempt.gather(b"x", room)


def test_only_so_much_is_kept_of_all_and_comes_free_again(injector: Injector) -> None:
    room = Room(100)
    first, second = gathering(injector), gathering(injector)
    first.gather(b"x" * 60, room)
    with pytest.raises(Refused) as caught:
        second.gather(b"x" * 60, room)
    assert caught.value.code is Code.BUDGET_EXCEEDED
    second.let_go(room)
    first.let_go(room)
    first.let_go(room)
    third = gathering(injector)
    third.gather(b"x" * 100, room)
    with pytest.raises(Refused):
        third.gather(b"x", room)


def test_what_needs_no_signature_is_not_counted(injector: Injector) -> None:
    assert injector.passing is not None
    head, request = post("Content-Length: 5")
    attempt, room = Attempt(head, http2=False), Room(0)
    assert not attempt.must_gather(request, injector.passing)
    attempt.gather(b"hello", room)
