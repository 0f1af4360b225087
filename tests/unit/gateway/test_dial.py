"""Dialling: one look-up, every address checked, the checked one dialled."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from outward.core import Code, Destination
from outward.credentials import CredentialStore
from outward.gateway.denial import DialError
from outward.gateway.dial import Dialler
from outward.gateway.upstream_proxy import ProxyChoice
from outward.policy import Policy

DIRECT = ProxyChoice(Policy(), CredentialStore({}, environment={}))


class Resolver:
    """Answers differently each time, as an attacker's would; remembers who connected where."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.connected: list[str] = []
        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", self._resolve)
        monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", self._connect)

    async def _resolve(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked += 1
        answer = self.answers.pop(0)
        if not answer:
            raise socket.gaierror
        return [(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in answer]

    async def _connect(self, sock: socket.socket, address: tuple[str, int]) -> None:
        self.connected.append(address[0])
        raise ConnectionRefusedError(111, "refused")


def dial(**fields: Any) -> DialError:
    destination = Destination("evil.test", "evil.test", 443, "https", (), **fields)
    with pytest.raises(DialError) as caught:
        asyncio.run(Dialler().open(destination, "evil.test", asyncio.Protocol, DIRECT, tls=True))
    return caught.value


def test_what_was_checked_is_what_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: a second look-up would have given the inside of the network."""
    resolver = Resolver(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    assert dial().code is Code.UPSTREAM_UNREACHABLE
    assert (resolver.asked, resolver.connected) == (1, ["93.184.216.34"])


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fd00::1"])
def test_a_private_answer_is_not_dialled(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolver = Resolver(monkeypatch, [address])
    error = dial()
    assert error.code is Code.ADDRESS_NOT_ALLOWED
    assert "allow_private" in error.hint
    assert resolver.connected == []


def test_the_next_address_is_tried_only_if_it_passes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, ["10.0.0.1", "93.184.216.34", "192.168.0.1", "93.184.216.35"])
    assert dial().code is Code.UPSTREAM_UNREACHABLE
    assert resolver.connected == ["93.184.216.34", "93.184.216.35"]


def test_private_addresses_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, ["10.0.0.1"], ["10.0.0.2"])
    dial(allow_private=True)
    dial(connect_to=("10.0.0.2", 8443))
    assert resolver.connected == ["10.0.0.1", "10.0.0.2"]


def test_a_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch, [])
    assert dial().code is Code.UPSTREAM_UNREACHABLE


def test_never_ourselves_even_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, ["127.0.0.1"])
    dialler = Dialler()
    dialler.never_dial(8080)
    destination = Destination("a", "a", 443, "https", (), connect_to=("127.0.0.1", 8080))
    with pytest.raises(DialError, match="itself"):
        asyncio.run(dialler.open(destination, "a", asyncio.Protocol, DIRECT, tls=False))
    assert resolver.connected == []
