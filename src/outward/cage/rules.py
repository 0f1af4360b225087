"""The packet filter's rules of a cage, written for the kernel's nf_tables (linux/netfilter/nf_tables.h).

No program is asked: the rules are few and always the same. What they say, in the language of nft(8)::

    table ip outward {
        chain capture {
            type nat hook output priority -100; policy accept;
            meta l4proto udp th dport 53 redirect to :53
            meta l4proto tcp th dport 53 redirect to :53
            ip daddr 127.0.0.0/8 accept
            meta l4proto tcp redirect to :3129
        }
        chain refuse {
            type filter hook output priority 0; policy drop;
            ip daddr 127.0.0.0/8 accept
            ct state established,related accept
            reject with icmp port-unreachable
        }
    }

and the same for IPv6 with ``::1``. Resolvers on other loopback addresses (127.0.0.53 is the habit of some distributions) are
asked here, too. In ``refuse`` what was redirected goes to a loopback address. Whoever sends a datagram to
anywhere is told at once (EPERM from the call, ECONNREFUSED where the socket is connected); there is nothing to time out.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, Final

from outward.cage.netlink import (
    ACKNOWLEDGE,
    APPEND,
    CREATE,
    EXCLUSIVE,
    NETFILTER,
    Message,
    Netlink,
    Refused,
    attribute,
    nested,
)
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TABLE: Final = "outward"

_ABSENT: Final = frozenset({errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT})
"""What a kernel says that was built without nf_tables."""

_FIRST: Final = ("begin", "table")
"""Where it says so."""

# nfnetlink(7): the subsystem, and the messages that hold a batch together, of which all are done or none is.
_NFTABLES: Final = 10
_AROUND: Final = ((0x10, "begin"), (0x11, "end"))  # NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = (_NFTABLES << 8 | kind for kind in (0, 2, 3, 6))

_OUTPUT: Final = 3  # NF_INET_LOCAL_OUT
_DROP, _ACCEPT = 0, 1  # NF_DROP, NF_ACCEPT
_VERDICT, _REGISTER = 0, 1  # NFT_REG_VERDICT, NFT_REG_1
_EQUAL, _UNEQUAL = 0, 1  # NFT_CMP_EQ, NFT_CMP_NEQ
_NETWORK, _TRANSPORT = 1, 2  # NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER
_L4PROTO: Final = 16  # NFT_META_L4PROTO
_STATE: Final = 0  # NFT_CT_STATE
_ESTABLISHED_OR_RELATED: Final = struct.pack("=I", 2 | 4)
_PORT_GIVEN: Final = 2  # NF_NAT_RANGE_PROTO_SPECIFIED


class Family(NamedTuple):
    """What differs between IPv4 and IPv6: the number, where a header has its destination, what of it says loopback, and
    the code of "port unreachable" in its ICMP."""

    number: int
    offset: int
    loopback: bytes
    unreachable: int


IPV4: Final = Family(socket.AF_INET, 16, b"\x7f", 3)
IPV6: Final = Family(socket.AF_INET6, 24, bytes(15) + b"\x01", 4)


def load(*families: Family, dns: int, transparent: int) -> bool:
    """Gives the current network namespace its rules; whether this kernel can have any.

    All of them or none. What an earlier gateway has left is replaced. Raises :class:`OSError` where the kernel could, and
    would not.
    """
    wanted = [message for family in families for message in _table(family, dns, transparent)]
    try:
        with Netlink(NETFILTER) as netlink:
            try:
                _batch(netlink, wanted)
            except Refused as error:
                if error.errno != errno.EEXIST:
                    raise
                # Only now: removing takes the kernel ten times as long as adding
                _batch(netlink, [message for family in families for message in _removal(family)])
                _batch(netlink, wanted)
    except OSError as error:
        if error.errno not in _ABSENT or (isinstance(error, Refused) and error.what not in _FIRST):
            raise
        return False
    return True


def _batch(netlink: Netlink, messages: Sequence[Message]) -> None:
    begin, end = (Message(kind, _header(0, _NFTABLES), what) for kind, what in _AROUND)
    netlink.ask([begin, *messages, end])


def _removal(family: Family) -> Iterator[Message]:
    """Of what is not there nothing can be deleted."""
    yield _message(family, _NEW_TABLE, CREATE, "table", _text(1, TABLE))
    yield _message(family, _DELETE_TABLE, 0, "table", _text(1, TABLE))


def _table(family: Family, dns: int, transparent: int) -> Iterator[Message]:
    yield _message(family, _NEW_TABLE, CREATE | EXCLUSIVE, "table", _text(1, TABLE))  # NFTA_TABLE_NAME
    yield _chain(family, "capture", "nat", -100, _ACCEPT)
    yield _chain(family, "refuse", "filter", 0, _DROP)
    loopback = (_load(_NETWORK, family.offset, len(family.loopback)), _compare(family.loopback), _accept())
    for protocol in (socket.IPPROTO_UDP, socket.IPPROTO_TCP):
        yield _rule(family, "capture", *_protocol(protocol), *_to_port(53), *_redirect(dns))
    yield _rule(family, "capture", *loopback)
    yield _rule(family, "capture", *_protocol(socket.IPPROTO_TCP), *_redirect(transparent))
    yield _rule(family, "refuse", *loopback)
    yield _rule(family, "refuse", *_going_on(), _accept())
    yield _rule(family, "refuse", _expression("reject", _number(1, 0), attribute(2, bytes((family.unreachable,)))))


def _header(family: int, resource: int) -> bytes:
    return struct.pack("!BBH", family, 0, resource)  # struct nfgenmsg


def _message(family: Family, kind: int, flags: int, what: str, *attributes: bytes) -> Message:
    return Message(kind, _header(family.number, 0) + b"".join(attributes), what, flags | ACKNOWLEDGE)


def _chain(family: Family, name: str, kind: str, priority: int, policy: int) -> Message:
    hook = nested(4, _number(1, _OUTPUT), _number(2, priority))  # NFTA_CHAIN_HOOK
    attributes = (_text(1, TABLE), _text(3, name), hook, _number(5, policy), _text(7, kind))
    return _message(family, _NEW_CHAIN, CREATE, f"chain {name}", *attributes)


def _rule(family: Family, chain: str, *expressions: bytes) -> Message:
    attributes = (_text(1, TABLE), _text(2, chain), nested(4, *expressions))  # NFTA_RULE_EXPRESSIONS
    return _message(family, _NEW_RULE, CREATE | APPEND, f"rule in {chain}", *attributes)


# -- expressions, in the order of their attributes in the header file


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, _text(1, name), nested(2, *attributes))  # NFTA_LIST_ELEM


def _load(base: int, offset: int, length: int) -> bytes:
    return _expression("payload", _number(1, _REGISTER), _number(2, base), _number(3, offset), _number(4, length))


def _compare(value: bytes, operator: int = _EQUAL) -> bytes:
    return _expression("cmp", _number(1, _REGISTER), _number(2, operator), _value(3, value))


def _protocol(number: int) -> tuple[bytes, bytes]:
    return _expression("meta", _number(1, _REGISTER), _number(2, _L4PROTO)), _compare(bytes((number,)))


def _to_port(port: int) -> tuple[bytes, bytes]:
    return _load(_TRANSPORT, 2, 2), _compare(port.to_bytes(2, "big"))


def _going_on() -> tuple[bytes, bytes, bytes]:
    mask, nothing = _value(4, _ESTABLISHED_OR_RELATED), _value(5, bytes(4))
    return (
        _expression("ct", _number(1, _REGISTER), _number(2, _STATE)),
        _expression("bitwise", _number(1, _REGISTER), _number(2, _REGISTER), _number(3, 4), mask, nothing),
        _compare(bytes(4), _UNEQUAL),
    )


def _accept() -> bytes:
    verdict = nested(2, nested(2, _number(1, _ACCEPT)))  # NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT, NFTA_VERDICT_CODE
    return _expression("immediate", _number(1, _VERDICT), verdict)


def _redirect(port: int) -> tuple[bytes, bytes]:
    return (
        _expression("immediate", _number(1, _REGISTER), _value(2, port.to_bytes(2, "big"))),
        _expression("redir", _number(1, _REGISTER), _number(3, _PORT_GIVEN)),
    )


def _text(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def _number(kind: int, number: int) -> bytes:
    return attribute(kind, struct.pack("!i", number))


def _value(kind: int, value: bytes) -> bytes:
    return nested(kind, attribute(1, value))  # NFTA_DATA_VALUE
