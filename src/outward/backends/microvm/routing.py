"""What the machine refuses by itself, at once: a program of 92 octets that tells its kernel.

QEMU's user network carries TCP and UDP, and says nothing about a datagram that the cage has refused: whoever sent it would wait.
So only TCP and questions to resolvers leave the machine. In the language of ip(8), and the same for IPv6::

    ip route add local default dev lo table local src 127.0.0.1
    ip rule add pref 1 lookup local suppress_prefixlength 0
    ip rule add pref 2 ipproto tcp lookup main
    ip rule add pref 3 ipproto udp dport 53 lookup main
    ip rule add pref 4 ipproto udp lookup local
    ip rule add pref 5 unreachable
    ip rule del pref 0

Datagrams to anywhere come back to the machine, where nobody listens: its kernel answers "port unreachable", and a connected
socket gets ECONNREFUSED, as in a cage. (The route is in the table ``local`` since the answer comes from the address that was
sent to, which therefore has to be one of the machine's.) This holds nothing in: that is for the cage, around QEMU.

Busybox cannot say ``ipproto``, and the machine has no other program of ours, so the messages are written here and sent by the
smallest program that can do it: :func:`program` is what becomes ``/routing`` in the machine.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from outward.cage.netlink import ACKNOWLEDGE, CREATE, EXCLUSIVE, Message, attribute, encoded

if TYPE_CHECKING:
    from collections.abc import Iterator

# Numbers of the kernel's (rtnetlink(7), linux/rtnetlink.h, linux/fib_rules.h).
_NEW_ROUTE, _NEW_RULE, _DELETE_RULE = 24, 32, 33
_MAIN, _LOCAL = 254, 255  # RT_TABLE_MAIN, RT_TABLE_LOCAL
_STATIC, _SCOPE_HOST, _OF_OURS = 4, 254, 2  # RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL
_INTERFACE, _PREFERRED_SOURCE = 4, 7  # RTA_OIF, RTA_PREFSRC
_PRIORITY, _BUT_DEFAULT, _PROTOCOL, _PORTS = 6, 14, 22, 24  # FRA_PRIORITY, _SUPPRESS_PREFIXLEN, _IP_PROTO, _DPORT_RANGE
_LOOK_UP, _UNREACHABLE = 1, 7  # FR_ACT_TO_TBL, FR_ACT_UNREACHABLE
_LOOPBACK: Final = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
_LO: Final = 1
"""The number of the first interface of every machine."""

_CODE: Final = bytes.fromhex(
    # For x86_64, which is what machines are. The address and the length of the messages, and their number, are filled in.
    "6a10 5f"  #             push 16; pop rdi           AF_NETLINK
    "6a03 5e"  #             push 3; pop rsi            SOCK_RAW
    "31d2"  #                xor edx, edx               NETLINK_ROUTE
    "6a29 58 0f05"  #        push 41; pop rax; syscall  socket
    "89c7"  #                mov edi, eax
    "488d35 46000000"  #     lea rsi, [rip+messages]
    "ba LENGTH__"  #         mov edx, length
    "4531d2 4531c0 4531c9"  # xor r10d, r10d; xor r8d, r8d; xor r9d, r9d
    "6a2c 58 0f05"  #        push 44; pop rax; syscall  sendto: the kernel does all of it before it returns
    "bb COUNT___"  #         mov ebx, count
    "488db424 00f0ffff"  # again: lea rsi, [rsp-4096]
    "ba 00100000"  #         mov edx, 4096
    "6a40 415a"  #           push 64; pop r10           MSG_DONTWAIT
    "6a2d 58 0f05"  #        push 45; pop rax; syscall  recvfrom: one acknowledgement
    "83f814 7c0a"  #         cmp eax, 20; jl done       nothing more
    "837e1000 7504"  #       cmp dword [rsi+16], 0; jne done   nlmsgerr.error
    "ffcb ebdb"  #           dec ebx; jmp again
    "89df"  #          done: mov edi, ebx
    "b8 e7000000 0f05".replace(  #    mov eax, 231; syscall      exit_group: how many were not done
        "LENGTH__", "00000000"
    ).replace("COUNT___", "00000000")
)
_LENGTH_AT, _COUNT_AT = 0x17, 0x2A

_ADDRESS: Final = 0x400000
_FILE_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")  # Elf64_Ehdr
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")  # Elf64_Phdr


def program() -> bytes:
    """The program, an ELF file. Its exit status is the number of messages that the kernel did not act on."""
    messages = [each for family in _LOOPBACK for each in _messages(family)]
    batch = encoded(messages)
    code = bytearray(_CODE)
    struct.pack_into("<I", code, _LENGTH_AT, len(batch))
    struct.pack_into("<I", code, _COUNT_AT, len(messages))
    return _elf(bytes(code) + batch)


def _messages(family: socket.AddressFamily) -> Iterator[Message]:
    """All of one family. Each is acknowledged."""
    route = struct.pack("=8BI", family, 0, 0, 0, _LOCAL, _STATIC, _SCOPE_HOST, _OF_OURS, 0)
    interface = attribute(_INTERFACE, struct.pack("=I", _LO))
    source = attribute(_PREFERRED_SOURCE, socket.inet_pton(family, _LOOPBACK[family]))
    yield Message(_NEW_ROUTE, route + interface + source, "route", CREATE | ACKNOWLEDGE)
    tcp = attribute(_PROTOCOL, bytes((socket.IPPROTO_TCP,)))
    udp = attribute(_PROTOCOL, bytes((socket.IPPROTO_UDP,)))
    rules = (
        (_LOOK_UP, _LOCAL, attribute(_BUT_DEFAULT, bytes(4))),
        (_LOOK_UP, _MAIN, tcp),
        (_LOOK_UP, _MAIN, udp + attribute(_PORTS, struct.pack("=HH", 53, 53))),
        (_LOOK_UP, _LOCAL, udp),
        (_UNREACHABLE, 0, b""),
    )
    for place, (action, table, matching) in enumerate(rules, start=1):
        yield _rule(_NEW_RULE, family, action, table, place, matching, CREATE | EXCLUSIVE)
    yield _rule(_DELETE_RULE, family, _LOOK_UP, _LOCAL, 0, b"", 0)


def _rule(
    kind: int, family: socket.AddressFamily, action: int, table: int, place: int, matching: bytes, flags: int
) -> Message:
    header = struct.pack("=8BI", family, 0, 0, 0, table, 0, 0, action, 0)  # struct fib_rule_hdr
    priority = attribute(_PRIORITY, struct.pack("=I", place))
    return Message(kind, header + priority + matching, "rule", flags | ACKNOWLEDGE)


def _elf(content: bytes) -> bytes:
    """An executable of one segment that begins with the file itself; the first octet of ``content`` is the first instruction."""
    before = _FILE_HEADER.size + _SEGMENT.size
    identity = b"\x7fELF\2\1\1"  # 64 bits, little end first, version 1
    # ET_EXEC, EM_X86_64
    header = _FILE_HEADER.pack(
        identity, 2, 62, 1, _ADDRESS + before, _FILE_HEADER.size, 0, 0, _FILE_HEADER.size, _SEGMENT.size, 1, 0, 0, 0
    )
    size = before + len(content)
    segment = _SEGMENT.pack(1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x1000)  # PT_LOAD, to be read and executed
    return header + segment + content
