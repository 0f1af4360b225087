"""One ``serve``: a gateway with listeners of its own, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from outward.core import DEFAULT_PORT, HostError, OutwardError, canonical_host
from outward.credentials import CredentialStore
from outward.gateway import Gateway, ProxyFront, ReverseFront, ReverseRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from outward.audit import Journal
    from outward.gateway.listeners import Front
    from outward.pki import Authority
    from outward.policy import Policy

BACKLOG: Final = 1024

DRAIN_TIME: Final = 30.0
"""Seconds that requests in flight get after SIGTERM; a second signal ends them at once."""


@dataclass(frozen=True, slots=True)
class Reverse:
    """A listener that stands for one server: ``--reverse ADDR=URL``."""

    address: str
    url: str


def parse_reverse(url: str) -> ReverseRoute:
    """The route of a reverse listener's URL. Raises :class:`OutwardError`."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORT or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise OutwardError(f"{url!r} is not an http or https URL", hint="For example https://api.example.com")
    return ReverseRoute(
        parts.scheme, canonical_host(parts.hostname), parts.port or DEFAULT_PORT[parts.scheme], parts.path
    )


def open_listener(address: str, *, authenticated: bool) -> socket.socket:
    """A listening socket on ``host:port`` (port 0: any free one) or ``unix:/path`` (mode 0600).

    Raises :class:`HostError`; also for an address that others can reach when clients are not ``authenticated``: whoever
    reaches the gateway uses the credentials behind it.
    """
    try:
        if address.startswith("unix:"):
            return _unix_listener(Path(address.removeprefix("unix:")))
        host, port = _host_and_port(address)
        if not authenticated and not ip_address(host).is_loopback:
            raise HostError(
                f"{address} can be reached from outside, and clients would not have to authenticate",
                hint="Name the agents and their tokens in the policy (`agents:`), or listen on 127.0.0.1.",
            )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise HostError(f"cannot listen on {address}: {error.strerror or error}") from error


def _host_and_port(address: str) -> tuple[str, int]:
    name, _, port = address.rpartition(":")
    host = "127.0.0.1" if name == "localhost" else name.removeprefix("[").removesuffix("]")
    try:
        ip_address(host)
        if not (port.isascii() and port.isdigit() and int(port) < 65536):
            raise ValueError(port)
    except ValueError:
        raise OutwardError(
            f"{address!r} is not an address to listen on",
            hint="For example 127.0.0.1:8080, [::1]:0 or unix:/run/o.sock",
        ) from None
    return host, int(port)


def _unix_listener(path: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise HostError(f"{path} exists and is not a socket")
        _refuse_if_served(path)
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode is right from the first moment: nobody can connect between bind and chmod.
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    sock.listen(BACKLOG)
    return sock


def _refuse_if_served(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise HostError(f"another process listens on {path}")


def address_of(sock: socket.socket) -> str:
    """How the ready line names a listener: ``host:port`` with the port resolved, or ``unix:/path``."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"


class Server:
    """The listeners of one ``serve`` and the gateway behind them."""

    def __init__(
        self,
        *,
        policy: Policy,
        environment: Mapping[str, str],
        authority: Authority,
        journal: Journal,
        reload: Callable[[], Policy],
        report: Callable[[str], None],
    ) -> None:
        """``reload`` reads the policy again (SIGHUP); ``report`` shows a line to the person."""
        self._policy = policy
        self._environment: Final = environment
        self._authority: Final = authority
        self._reload: Final = reload
        self._report: Final = report
        self._store = CredentialStore(policy.secrets, environment=environment)
        self._gateway: Final = Gateway(policy=policy, store=self._store, authority=authority, journal=journal)

    async def run(
        self, listen: Sequence[str], reverse: Sequence[Reverse], *, agent: str, ready: Callable[[str], None]
    ) -> None:
        """Serves until SIGTERM or SIGINT, then drains. ``ready`` gets the JSON line once connections are accepted."""
        fronts: list[tuple[str, Front]] = [(a, ProxyFront(agent, self._policy.agents)) for a in listen]
        fronts += [(r.address, ReverseFront(parse_reverse(r.url), agent)) for r in reverse]
        stop, impatient, reload = asyncio.Event(), asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_stop() -> None:
            (impatient if stop.is_set() else stop).set()

        with contextlib.ExitStack() as stack:
            opened: list[tuple[socket.socket, Front]] = []
            for address, front in fronts:
                sock = stack.enter_context(
                    contextlib.closing(open_listener(address, authenticated=front.authenticates))
                )
                if address.startswith("unix:"):
                    stack.callback(Path(address.removeprefix("unix:")).unlink, missing_ok=True)
                opened.append((sock, front))
            async with self._gateway as gateway:
                for signum in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(signum, on_stop)
                loop.add_signal_handler(signal.SIGHUP, reload.set)
                reloading = loop.create_task(self._reload_whenever(reload))
                names = [address_of(sock) for sock, _ in opened]
                for sock, front in opened:
                    if sock.family != socket.AF_UNIX:
                        gateway.dialler.never_dial(sock.getsockname()[1])
                    gateway.listen_on(sock, front)
                ready(json.dumps({"event": "ready", "listen": names, "ca": str(self._authority.certificate_file)}))
                await stop.wait()
                reloading.cancel()
                self._report(f"stopping: requests in flight get {DRAIN_TIME:.0f} s")
                drained = asyncio.ensure_future(gateway.close(DRAIN_TIME))
                hurry = asyncio.ensure_future(impatient.wait())
                await asyncio.wait({drained, hurry}, return_when=asyncio.FIRST_COMPLETED)
                hurry.cancel()
                if not drained.done():
                    drained.cancel()
                    await gateway.close(0)

    async def _reload_whenever(self, asked: asyncio.Event) -> None:
        """One reload after the other, however many signals come."""
        while True:
            await asked.wait()
            asked.clear()
            await self._reload_policy()

    async def _reload_policy(self) -> None:
        """All or nothing: a broken file leaves the old policy in force. Read in a thread, for presets may ask programs."""
        try:
            policy = await asyncio.get_running_loop().run_in_executor(None, self._reload)
            store = CredentialStore(policy.secrets, environment=self._environment, previous=self._store)
            self._gateway.replace(policy, store)
        except OutwardError as error:
            self._report(f"the policy was not reloaded, the old one stays in force:\n{error.message}")
        else:
            self._store = store
            self._report("the policy was reloaded")
