"""What forms that sign a request as a whole have in common: they see it as it will go out, and have the last word about it.

A client's own signature is made with a placeholder. It says how the client wants to be signed (which service, which fields, what
of the body), and goes no further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from outward.core import SecretUnavailable
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outward.core import Secret


class Unsigned(NamedTuple):
    """A request. ``authority`` is what Host says, ``path`` and ``query`` are as they are sent.

    ``fields`` are names and values, one character per octet. ``body`` is ``None`` unless all of it is here; ``empty`` tells
    that there is none.
    """

    method: str
    scheme: str
    authority: str
    path: str
    query: str
    fields: Sequence[tuple[str, str]]
    empty: bool
    body: bytes | None = None

    def all(self, name: str) -> list[str]:
        """The values of all fields with this lower-case name."""
        return [value for key, value in self.fields if key.lower() == name]

    @property
    def media_types(self) -> list[str]:
        """What the Content-Type fields say, in lower case and without parameters."""
        return [value.partition(";")[0].strip().lower() for value in self.all("content-type")]

    @property
    def is_form(self) -> bool:
        """Whether the body may be taken for parameters."""
        return "application/x-www-form-urlencoded" in self.media_types


class BodyFilter(Protocol):
    """Changes a body that arrives in pieces."""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """What may be passed on now; with ``last``, all. Raises :class:`ClientError` for what must not be passed on."""
        ...


class Signed(NamedTuple):
    """The query and the fields to send, and what becomes of the body on its way."""

    query: str
    fields: list[tuple[str, str]]
    body: BodyFilter | None = None


class Signing(Protocol):
    """How one request is to be signed."""

    @property
    def needs_body(self) -> bool:
        """Whether all of the body has to be here before the head can be signed."""
        ...

    def sign(self, request: Unsigned, values: Mapping[str, Secret]) -> Signed:
        """Signs the request as it will go out. Raises :class:`ClientError`, :class:`SecretUnavailable`."""
        ...


class Signer(Protocol):
    """A form that signs. Compiled from an injection when the policy is loaded."""

    def read(self, request: Unsigned) -> Signing:
        """How the request that a client has sent is to be signed. Raises :class:`ClientError` for what cannot be."""
        ...


def key_text(secret: Secret) -> str:
    """A value as signing libraries take it. Raises :class:`SecretUnavailable`."""
    try:
        return secret.reveal().decode("ascii")
    except UnicodeDecodeError:
        raise SecretUnavailable(secret.name, "the value is not ASCII, and no key for signatures") from None
