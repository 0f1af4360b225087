"""Dialling: one look-up, every address checked, the checked one dialled."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import trustme

from outward.core import Code, Destination, Proxy, Secret, SecretUnavailable
from outward.credentials import CredentialStore
from outward.gateway import names
from outward.gateway.denial import DialError
from outward.gateway.dial import HTTP1, Dialler
from outward.gateway.identity import Identity
from outward.gateway.local import Outgoing
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
        monkeypatch.setattr(Outgoing, "connect", self._connect)

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
    error = dial()
    assert error.code is Code.UPSTREAM_UNREACHABLE
    assert "93.184.216.35:443" in error.message
    assert "192.168.0.1" in error.message, "what was not tried is told as well, and how it would be"
    assert "allow_private" in error.hint
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


# -- through a proxy


PROXY = Proxy("http", "10.9.9.9", 3128)


def dial_through(
    host: str, *, proxy: Proxy = PROXY, port: int = 443, policy: Policy | None = None, **fields: Any
) -> DialError:
    destination = Destination(host, host, port, "https", (), proxy=proxy, **fields)
    choice = ProxyChoice(policy or Policy(destinations=(destination,)), CredentialStore({}, environment={}))
    with pytest.raises(DialError) as caught:
        asyncio.run(Dialler().open(destination, host, asyncio.Protocol, choice, tls=True))
    return caught.value


def test_the_proxy_is_dialled_and_may_be_private(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, ["93.184.216.34"], ["10.9.9.9"])
    error = dial_through("api.test")
    assert (error.code, error.message.startswith("the proxy http://10.9.9.9:3128: ")) == (
        Code.UPSTREAM_UNREACHABLE,
        True,
    )
    assert resolver.connected == ["10.9.9.9"]


def test_a_name_without_address_here_is_the_proxy_s(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, [], ["10.9.9.9"])
    dial_through("api.test")
    assert resolver.connected == ["10.9.9.9"]


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:169.254.169.254"]])
def test_a_name_with_a_private_address_here_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, answer: list[str]
) -> None:
    """Any of them: which one the proxy takes is not known."""
    resolver = Resolver(monkeypatch, answer, ["10.9.9.9"])
    assert dial_through("evil.test").code is Code.ADDRESS_NOT_ALLOWED
    assert resolver.connected == []
    resolver.answers = [answer, ["10.9.9.9"]]
    dial_through("evil.test", allow_private=True)
    assert resolver.connected == ["10.9.9.9"], "on purpose"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
def test_a_private_address_is_not_asked_for(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolver = Resolver(monkeypatch, ["10.9.9.9"])
    assert dial_through(address).code is Code.ADDRESS_NOT_ALLOWED
    assert (resolver.asked, resolver.connected) == (0, [])


def test_socks5_asks_for_names_here_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, [])
    error = dial_through("api.test", proxy=Proxy("socks5", "10.9.9.9", 1080))
    assert error.message == "the name api.test cannot be resolved"
    assert resolver.connected == []


@pytest.mark.parametrize(("host", "answers"), [("10.9.9.9", []), ("alias.test", [["10.9.9.9"], ["10.9.9.9"]])])
def test_a_proxy_is_no_destination_of_a_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str, answers: list[list[str]]
) -> None:
    resolver = Resolver(monkeypatch, *answers)
    error = dial_through(host, port=3128, allow_private=True)
    assert (error.code, "is the proxy http://10.9.9.9:3128" in error.message) == (Code.ADDRESS_NOT_ALLOWED, True)
    assert resolver.connected == []


def test_a_proxy_is_no_destination_by_connect_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, ["10.9.9.9"])
    destination = Destination("a", "a", 443, "https", (), connect_to=("10.9.9.9", 3128))
    choice = ProxyChoice(Policy(destinations=(destination,), proxy=PROXY), CredentialStore({}, environment={}))
    with pytest.raises(DialError, match="is the proxy"):
        asyncio.run(Dialler().open(destination, "a", asyncio.Protocol, choice, tls=False))
    assert resolver.connected == []


class SilentResolver:
    """Answers when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.speak = asyncio.Event()
        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", self._resolve)

    async def _resolve(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        await self.speak.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]


def test_a_resolver_that_is_silent_is_neither_waited_for_nor_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "LOOK_TIME", 0.01)
    resolver = SilentResolver(monkeypatch)

    async def run() -> None:
        glance = names.Glance()
        for host in ("a.test", "b.test", "c.test", "a.test"):
            assert await glance.addresses(host, 443) == ()
        assert resolver.asked == ["a.test", "b.test"], "no more than its threads can bear"
        resolver.speak.set()
        await asyncio.sleep(0.01)
        assert await glance.addresses("a.test", 443) == ("10.0.0.1",), "known in the end"
        assert await glance.addresses("c.test", 443) == ("10.0.0.1",)

    asyncio.run(run())
    assert resolver.asked == ["a.test", "b.test", "c.test"]


def test_those_who_ask_at_once_share_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = SilentResolver(monkeypatch)

    async def run() -> list[tuple[str, ...]]:
        glance = names.Glance()
        asked = [asyncio.ensure_future(glance.addresses("a.test", 443)) for _ in range(5)]
        await asyncio.sleep(0)
        asked[0].cancel()  # a client that has gone takes nothing from the others
        await asyncio.sleep(0)
        resolver.speak.set()
        return await asyncio.gather(*asked[1:])

    assert asyncio.run(run()) == [("10.0.0.1",)] * 4
    assert resolver.asked == ["a.test"]


def test_what_tls_is_made_of_is_shared_by_those_that_show_the_same() -> None:
    dialler, authority = Dialler(), trustme.CA()
    one, two = (authority.issue_cert("machine.test") for _ in range(2))
    first, other = (
        Identity(leaf.cert_chain_pems[0].bytes().decode(), Secret("key", leaf.private_key_pem.bytes()))
        for leaf in (one, two)
    )
    bare = dialler._tls_context(None, HTTP1)
    shown = dialler._tls_context(None, HTTP1, first)
    assert shown is dialler._tls_context(None, HTTP1, first)
    assert len({id(each) for each in (bare, shown, dialler._tls_context(None, HTTP1, other))}) == 3
    renewed = first._replace(key=Secret("key", one.private_key_pem.bytes()))
    assert dialler._tls_context(None, HTTP1, renewed) is not shown
    with pytest.raises(SecretUnavailable):
        dialler._tls_context(None, HTTP1, first._replace(key=other.key))
    assert dialler._tls_context(None, HTTP1) is bare
