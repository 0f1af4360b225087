"""The gateway around a running command, in one event loop."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import uvloop

from outward.credentials.memory import conceal
from outward.gateway import Gateway, ProxyFront, TransparentFront
from outward.gateway.dns import Addresses, DnsFront, Resolver
from outward.session.signals import let_through
from outward.session.supervisor import Supervisor

if TYPE_CHECKING:
    from outward.backends import Sandbox
    from outward.cage import Sockets
    from outward.core.summary import Summary
    from outward.gateway.turn import Recorder
    from outward.session.options import Options
    from outward.session.running import Parts
    from outward.session.terminal import Terminal


def serve(
    options: Options,
    parts: Parts,
    journal: Recorder,
    sandbox: Sandbox,
    terminal: Terminal | None,
    needed: int | None,
) -> tuple[int | None, Summary]:
    """Serves the sandbox until its command ends: its exit status, and what the gateway has counted.

    The status is ``None`` when the sandbox could not be built. ``needed`` is as for the :class:`Supervisor`.
    """
    conceal()
    gateway = Gateway(policy=options.policy, store=parts.store, authority=parts.authority, journal=journal)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_serve(gateway, sandbox, terminal, needed, options))
    return code, gateway.summary


def attend(gateway: Gateway, sockets: Sockets, agent: str) -> None:
    """Serves a cage's sockets, which the gateway owns from now on; ``agent`` is who is in the cage."""
    ipv6 = any(sock.family == socket.AF_INET6 for sock in sockets.transparent)
    addresses = Addresses(ipv6=ipv6)
    resolver = Resolver(agent, addresses)
    for sock in sockets.proxy:
        gateway.listen_on(sock, ProxyFront(agent))
    for sock in sockets.transparent:
        gateway.listen_on(sock, TransparentFront(agent, addresses))
    for sock in sockets.dns:
        if sock.type == socket.SOCK_DGRAM:
            gateway.answer_on(sock, resolver)
        else:
            gateway.listen_on(sock, DnsFront(resolver))


async def _serve(
    gateway: Gateway, sandbox: Sandbox, terminal: Terminal | None, needed: int | None, options: Options
) -> int | None:
    async with gateway:
        attend(gateway, sandbox.sockets.duplicate(), options.agent)
        resize = terminal.resize if terminal is not None else None
        with Supervisor(sandbox, timeout=options.timeout, resize=resize, needed=needed) as supervisor:
            if terminal is not None:
                terminal.connect(asyncio.get_running_loop())
            with let_through():
                code = await supervisor.wait()
        if terminal is not None:
            terminal.drain()
    return code
