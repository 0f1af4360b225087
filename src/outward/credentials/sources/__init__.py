"""One module a source: each gets a value from one kind of place, outside the sandbox.

A source takes a :class:`~outward.policy.SecretSpec` and the caller's environment and gives the octets of the value. It
raises :class:`~outward.core.SecretUnavailable` and never gives an empty value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from outward.credentials.sources import command, env, file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from outward.policy import SecretSpec


class Source(NamedTuple):
    """A source: exactly one of ``read`` (cannot block for long) and ``fetch`` (may take its time) is set.

    ``ttl`` is how long its values are good for when the policy does not say, in seconds; ``None`` means for ever.
    """

    ttl: float | None
    read: Callable[[SecretSpec, Mapping[str, str]], bytes] | None = None
    fetch: Callable[[SecretSpec, Mapping[str, str]], Awaitable[bytes]] | None = None


SOURCES: Final[dict[str, Source]] = {
    # By the key that names the source in the policy file. Only sources that can be fetched from may live here.
    "env": Source(ttl=None, read=env.read),
    "file": Source(ttl=60.0, read=file.read),
    "command": Source(ttl=900.0, fetch=command.fetch),
}
