"""Asking a SOCKS proxy for a tunnel (RFC 1928, RFC 1929)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from outward.core import Code
from outward.core.canonical import is_address
from outward.gateway.denial import DialError
from outward.gateway.upstream_proxy.connect import CREDENTIALS_HINT

if TYPE_CHECKING:
    from outward.gateway.upstream_proxy.choice import Login
    from outward.gateway.upstream_proxy.negotiation import Negotiation

_NO_LOGIN: Final = b"\x00"
_PASSWORD: Final = b"\x02"
_NONE_ACCEPTABLE: Final = b"\xff"

_REPLIES: Final = {
    # RFC 1928 §6
    1: "failed",
    2: "does not allow this connection",
    3: "does not reach the network",
    4: "does not reach the host",
    5: "was refused by the host",
    6: "got no answer in time",
    7: "does not know the command",
    8: "does not know this kind of address",
}

_NAME: Final = 3
_ADDRESS_OCTETS: Final = {1: 4, 4: 16}


async def ask(talk: Negotiation, host: str, port: int, login: Login | None) -> None:
    """Opens the tunnel. Raises :class:`DialError`; its message is what the proxy did."""
    method = _NO_LOGIN if login is None else _PASSWORD
    talk.send(b"\x05\x01" + method)
    chosen = await talk.take_exactly(2)
    if chosen == b"\x05" + _NONE_ACCEPTABLE:
        wrong = "does not take a user and password" if login is not None else "demands credentials"
        raise DialError(Code.UPSTREAM_UNREACHABLE, wrong, hint=CREDENTIALS_HINT)
    if chosen != b"\x05" + method:
        raise _not_socks()
    if login is not None:
        await _log_in(talk, login)
    talk.send(b"\x05\x01\x00" + _address(host) + port.to_bytes(2, "big"))
    version, reply, _, kind = await talk.take_exactly(4)
    if version != 5:
        raise _not_socks()
    if reply:
        raise DialError(Code.UPSTREAM_UNREACHABLE, _REPLIES.get(reply, f"gave the unknown reply {reply}"))
    # Where the proxy has bound its end is of no use to us, but it has to be read.
    octets = (await talk.take_exactly(1))[0] if kind == _NAME else _ADDRESS_OCTETS.get(kind)
    if octets is None:
        raise _not_socks()
    await talk.take_exactly(octets + 2)


async def _log_in(talk: Negotiation, login: Login) -> None:
    username, password = login.username, login.password.reveal()
    if not (0 < len(username) < 256 and 0 < len(password) < 256):
        raise DialError(Code.UPSTREAM_UNREACHABLE, "cannot be told this user and password: SOCKS takes 1 to 255 octets")
    talk.send(b"\x01" + bytes([len(username)]) + username + bytes([len(password)]) + password)
    if await talk.take_exactly(2) != b"\x01\x00":
        raise DialError(Code.UPSTREAM_UNREACHABLE, "does not accept the credentials", hint=CREDENTIALS_HINT)


def _address(host: str) -> bytes:
    if not is_address(host):
        name = host.encode("ascii")
        return bytes([_NAME, len(name)]) + name
    packed = ip_address(host).packed
    return (b"\x01" if len(packed) == 4 else b"\x04") + packed


def _not_socks() -> DialError:
    return DialError(Code.UPSTREAM_UNREACHABLE, "does not speak SOCKS 5")
