"""What is said to proxies, octet by octet, and which one is asked for what."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import CallerProxies, Code, Destination, Proxy, Secret
from outward.credentials import CredentialStore
from outward.gateway.denial import DialError
from outward.gateway.upstream_proxy import Login, Negotiation, ProxyChoice, ask_for_tunnel
from outward.gateway.upstream_proxy.negotiation import MAX_ANSWER
from outward.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable

LOGIN = Login(b"user", Secret("corp", b"p@ss"))
HTTP = Proxy("http", "proxy.test", 3128)
SOCKS = Proxy("socks5h", "proxy.test", 1080)


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.protocol: asyncio.BaseProtocol | None = None

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


def ask(
    proxy: Proxy, answers: Iterable[bytes], host: str = "api.test", *, login: Login | None = None, end: bool = True
) -> tuple[list[bytes], str]:
    """What was said, and the error, after the proxy has said ``answers`` in these pieces and hung up."""

    async def run() -> tuple[list[bytes], str]:
        talk, wire = Negotiation(), Wire()
        talk.connection_made(wire)
        task = asyncio.ensure_future(ask_for_tunnel(talk, proxy, host, 443, login))
        for piece in answers:
            await asyncio.sleep(0)
            talk.data_received(piece)
        for _ in range(20):
            await asyncio.sleep(0)
        if end and not task.done():
            talk.connection_lost(None)
        error = (await asyncio.gather(task, return_exceptions=True))[0]
        if error is None:
            return wire.sent, ""
        assert isinstance(error, DialError)
        assert error.code is Code.UPSTREAM_UNREACHABLE
        assert "p@ss" not in error.message + error.hint
        return wire.sent, error.message

    return asyncio.run(run())


OPEN = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("host", "login", "request_"),
    [
        ("api.test", None, b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"),
        ("2001:db8::1", None, b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n"),
        (
            "api.test",
            LOGIN,
            b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n",
        ),
    ],
)
def test_connect(host: str, login: Login | None, request_: bytes) -> None:
    assert ask(HTTP, [OPEN], host, login=login) == ([request_], "")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\n", ""),
        (b"HTTP/1.1 204 X\r\n\r\n", ""),
        (b"HTTP/1.1 103 X\r\n\r\n" + OPEN, ""),
        (b"HTTP/1.1 101 X\r\n\r\n", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\n", "closed the connection"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "not HTTP"),
        (b"HTTP/2 200\r\n\r\n", "not HTTP"),
        (b"<html>\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 407 user:p@ss\r\n\r\n", "does not accept the credentials (407)"),
        (b"HTTP/1.1 403 user:p@ss\r\n\r\n", "refused to connect to api.test:443 (403)"),
        (b"HTTP/1.1 500 X\r\n\r\n", "was not able to connect to api.test:443 (500)"),
    ],
)
def test_answers_to_connect_in_any_pieces(answer: bytes, words: str) -> None:
    for pieces in ([answer], [answer[:1], answer[1:]], [answer[i : i + 1] for i in range(len(answer))]):
        _, error = ask(HTTP, pieces, login=LOGIN)
        assert (error == "") is (words == "")
        assert words in error
        assert error == "" or error.startswith("the proxy http://proxy.test:3128 ")


def test_what_comes_with_the_answer_is_not_taken_for_the_server_s() -> None:
    assert "more than its answer" in ask(HTTP, [OPEN + b"\x16\x03\x01"])[1]


@pytest.mark.parametrize("proxy", [HTTP, SOCKS])
def test_an_answer_ends(proxy: Proxy) -> None:
    assert ask(proxy, [b"\x05\x00" * (MAX_ANSWER // 2 + 1)], end=False)[1]


@given(st.binary(max_size=200))
def test_nothing_but_an_answer_opens_a_tunnel(data: bytes) -> None:
    for proxy in (HTTP, SOCKS):
        _, error = ask(proxy, [data])
        if proxy is HTTP and error == "":
            assert data.startswith(b"HTTP/1.")
        elif error == "":
            assert data.startswith(b"\x05\x00\x05\x00")


BOUND = b"\x00\x01\x7f\x00\x00\x01\x04\x38"


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("api.test", b"\x03\x08api.test"),
        ("10.0.0.1", b"\x01\x0a\x00\x00\x01"),
        ("::1", b"\x04" + bytes(15) + b"\x01"),
    ],
)
def test_socks(host: str, asked: bytes) -> None:
    said = [b"\x05\x01\x00", b"\x05\x01\x00" + asked + b"\x01\xbb"]
    assert ask(SOCKS, [b"\x05\x00", b"\x05\x00" + BOUND], host) == (said, "")


@pytest.mark.parametrize("bound", [b"\x00\x04" + bytes(18), b"\x00\x03\x03abc\x00\x00", b"\x00\x03\x00\x00\x00", BOUND])
def test_socks_says_where_it_is_bound_in_any_form(bound: bytes) -> None:
    said = [b"\x05\x01\x02", b"\x01\x04user\x04p@ss", b"\x05\x01\x00\x03\x08api.test\x01\xbb"]
    answers = b"\x05\x02" + b"\x01\x00" + b"\x05\x00" + bound
    assert ask(SOCKS, [answers], login=LOGIN) == (said, "")
    assert ask(SOCKS, [answers[i : i + 1] for i in range(len(answers))], login=LOGIN) == (said, "")
    assert "more than its answer" in ask(SOCKS, [answers + b"x"], login=LOGIN)[1]
    assert "closed the connection" in ask(SOCKS, [answers[:-1]], login=LOGIN)[1]


@pytest.mark.parametrize(
    ("login", "answer", "words"),
    [
        (None, b"\x05\xff", "demands credentials"),
        (None, b"\x05\x02", "does not speak SOCKS 5"),
        (None, b"HTTP/1.1 400 X\r\n\r\n", "does not speak SOCKS 5"),
        (None, b"\x04\x00", "does not speak SOCKS 5"),
        (LOGIN, b"\x05\xff", "does not take a user and password"),
        (LOGIN, b"\x05\x00", "does not speak SOCKS 5"),
        (LOGIN, b"\x05\x02\x01\x01", "does not accept the credentials"),
        (Login(b"", Secret("corp", b"x")), b"\x05\x02", "1 to 255 octets"),
        (Login(b"u", Secret("corp", b"x" * 256)), b"\x05\x02", "1 to 255 octets"),
        (None, b"\x05\x00\x05\x02" + BOUND, "does not allow this connection"),
        (None, b"\x05\x00\x05\x05" + BOUND, "was refused by the host"),
        (None, b"\x05\x00\x05\x63" + BOUND, "unknown reply 99"),
        (None, b"\x05\x00\x04\x00" + BOUND, "does not speak SOCKS 5"),
        (None, b"\x05\x00\x05\x00\x00\x09", "does not speak SOCKS 5"),
    ],
)
def test_socks_refusals(login: Login | None, answer: bytes, words: str) -> None:
    assert words in ask(SOCKS, [answer], login=login)[1]


class Recorder(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append(transport)

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")


@pytest.mark.parametrize("early", [b"", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"])
@pytest.mark.parametrize("lost", [False, True])
def test_what_a_server_says_first_is_handed_over(early: bytes, lost: bool) -> None:
    """HTTP/2 servers send their settings as soon as TLS is up (RFC 9113 §3.4)."""
    talk, wire, protocol = Negotiation(), Wire(), Recorder()
    if early:
        talk.data_received(early)
    if lost:
        talk.connection_lost(None)
    talk.hand_over(wire, protocol)
    assert wire.protocol is protocol
    assert protocol.told == [wire, *([early] if early else []), *(["lost"] if lost else [])]


# -- the choice


def chosen(host: str = "api.test", **fields: Any) -> Proxy | None:
    caller = CallerProxies({"https": HTTP}, {"https": "HTTPS_PROXY"})
    destination = Destination("api.test", "*", 443, fields.pop("scheme", "https"), (), **fields)
    store = CredentialStore({}, environment={}, caller=caller)
    return ProxyChoice(Policy(destinations=(destination,)), store).of(destination, host)


def test_who_decides() -> None:
    assert chosen() == HTTP
    assert chosen(scheme="http") is None
    assert chosen(proxy=SOCKS) == SOCKS
    assert chosen(proxy="none") is None
    assert chosen(connect_to=("10.0.0.1", 1)) is None
    around = Proxy("http", "proxy.test", 3128, no_proxy=("corp.test", "10.0.0.0/8"))
    assert [chosen(host, proxy=around) for host in ("a.corp.test", "10.1.1.1", "corp.test")] == [None] * 3
    assert chosen("acorp.test", proxy=around) == around


def test_every_proxy_is_known_whoever_it_is_for() -> None:
    others = [Proxy("http", name, 3128) for name in ("general", "special")]
    caller = CallerProxies({"https": HTTP}, {"https": "HTTPS_PROXY"})
    store = CredentialStore({}, environment={}, caller=caller)
    destinations = (
        Destination("a", "a", 443, "https", (), proxy=others[1]),
        Destination("b", "b", 443, "https", (), proxy="none"),
    )
    choice = ProxyChoice(Policy(destinations=destinations, proxy=others[0]), store)
    assert {proxy.host for proxy in choice.at(3128)} == {"general", "special", "proxy.test"}
    assert list(choice.at(443)) == []


def test_the_caller_s_password_outlives_a_reload_and_is_masked() -> None:
    secret = Secret("password in $HTTPS_PROXY", b"corp-test-Passw0rd")
    proxy = Proxy("http", "proxy.test", 3128, "user", secret.name)
    caller = CallerProxies({"https": proxy}, {"https": "HTTPS_PROXY"}, (secret, Secret("empty", b"")))
    store = CredentialStore({}, environment={}, caller=caller)
    again = CredentialStore({}, environment={}, previous=store)
    for one in (store, again):
        login = asyncio.run(ProxyChoice(Policy(), one).login(proxy))
        assert login is not None
        assert login.basic == "Basic dXNlcjpjb3JwLXRlc3QtUGFzc3cwcmQ="
        assert one.mask("/corp-test-Passw0rd/x") == "/[secret password in $HTTPS_PROXY]/x"
        assert "corp-test" not in repr(login)
