"""The authority as the gateway sees it: TLS contexts for hosts, files for clients."""

from __future__ import annotations

import time
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

from outward.core import HostError
from outward.core.records import NamedTuple
from outward.pki import store
from outward.pki.chain import load_chain

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from pathlib import Path

    from outward.pki.minting import Minter, Pair

MAX_CONTEXTS: Final = 1024
"""Contexts kept; each takes about 20 KB."""
RENEW_AFTER: Final = 3 * 86_400
"""Seconds after which a leaf is made anew, long before it ends: connections that use it may last."""


class _Entry(NamedTuple):
    made: float
    context: ssl.SSLContext


class Authority:
    """The certificate authority of one state directory. For use by one thread.

    Nothing is signed, and neither TLS nor the library that signs is loaded, before the first host is asked for.
    """

    def __init__(self, directory: Path, system_bundles: tuple[Path, ...]) -> None:
        self._directory: Final = directory
        self._system_bundles: Final = system_bundles
        self._contexts: Final[OrderedDict[tuple[str, tuple[str, ...]], _Entry]] = OrderedDict()
        self.certificate_file: Final = directory / store.CERTIFICATE
        """Our certificate alone, PEM."""

    @classmethod
    def open(cls, directory: Path, *, system_bundles: tuple[Path, ...] = store.SYSTEM_BUNDLES) -> Self:
        """Opens the authority in ``directory``, making both on first use.

        Raises :class:`HostError` for a key that others can read, and for files that are damaged, do not belong together
        or have expired: replacing them is a person's decision.
        """
        store.prepare(directory)
        return cls(directory, system_bundles)

    @property
    def bundle_file(self) -> Path:
        """The system's roots and our certificate, PEM. Raises :class:`HostError` where the system's are not found."""
        return store.write_bundle(self._directory, self._system_bundles)

    def server_context(self, host: str, alpn: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
        """The server's side of TLS for one canonical host, offering ``alpn`` (RFC 7301).

        Cached; the least recently used context goes first. Raises :class:`HostError` if no certificate can be made.
        """
        key, now = (host, tuple(alpn)), time.time()
        entry = self._contexts.get(key)
        if entry is not None and entry.made <= now < entry.made + RENEW_AFTER:
            self._contexts.move_to_end(key)
            return entry.context
        context = _context(self._mint(host, now), alpn)
        self._contexts[key] = _Entry(now, context)
        self._contexts.move_to_end(key)
        if len(self._contexts) > MAX_CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    def _mint(self, host: str, now: float) -> Pair:
        from outward.pki.minting import utc  # here: see the class

        try:
            return self._minter.mint(host, utc(now))
        except ValueError as error:
            raise HostError(f"cannot make a certificate for {host!r}: {error}") from error

    @cached_property
    def _minter(self) -> Minter:
        from outward.pki.minting import Minter, Pair  # here: see the class

        try:
            return Minter(Pair(self.certificate_file.read_bytes(), store.read_key(self._directory)))
        except (OSError, ValueError) as error:
            raise HostError(f"cannot read the certificate authority in {self._directory}: {error}") from error


def _context(leaf: Pair, alpn: Sequence[str]) -> ssl.SSLContext:
    import ssl  # here: see the class

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    # A resumed handshake costs us what a full one costs, and a ticket a tenth of that: resuming is for servers far away.
    context.num_tickets = 0
    context.set_alpn_protocols(alpn)
    try:
        load_chain(context, leaf.certificate, leaf.key)
    except OSError as error:  # includes ssl.SSLError
        raise HostError(f"cannot load a certificate: {error}", hint="/proc must be mounted.") from error
    return context
