"""Who we are to a server that demands a certificate of its clients (RFC 8446 §4.4.2)."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from outward.core import SecretUnavailable
from outward.core.records import NamedTuple
from outward.pki.chain import load_chain

if TYPE_CHECKING:
    from outward.core import Destination, Secret
    from outward.credentials import CredentialStore


class Identity(NamedTuple):
    """A certificate (PEM, with those between it and the root) and its private key."""

    certificate: str
    key: Secret

    def present(self, context: ssl.SSLContext) -> None:
        """Has ``context`` present it. Raises :class:`SecretUnavailable` if this key is not that certificate's."""
        try:
            load_chain(context, self.certificate.encode(), self.key.reveal())
        except ssl.SSLError as error:
            raise SecretUnavailable(
                self.key.name,
                "it is not the private key of the client certificate",
                hint="The key is PEM text, not encrypted, and belongs to the first certificate in `cert`.",
            ) from error


async def identity_for(destination: Destination, store: CredentialStore) -> Identity | None:
    """What a destination is to be shown, if anything. Raises :class:`SecretUnavailable`: nobody is asked without it."""
    if destination.client_certificate is None:
        return None
    certificate, name = destination.client_certificate
    return Identity(certificate, await store.get(name))
