"""One module a source: each gets a value from one kind of place, outside the sandbox.

A source takes a :class:`~outward.policy.SecretSpec`, which says what is asked for, and gives what it found
(:class:`~outward.credentials.kept.Fetched`): the value, or several that belong together by their names, for how long it is
good, and how to renew it. It raises :class:`~outward.core.SecretUnavailable`. It knows nothing of caching: that is the
store's.

A module has ``read(spec, environment)``, which gives the octets at once, or ``async def fetch(spec, outside)``, which may
take its time but never holds up the event loop: what blocks goes into a thread (:mod:`.threads`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from outward.core import NO_CALLER_PROXIES
from outward.core.records import NamedTuple
from outward.credentials.kept import Fetched
from outward.credentials.sources import env, file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping

    from outward.core import CallerProxies, Secret
    from outward.policy import SecretSpec


class Outside(NamedTuple):
    """What sources may use of the world outside the sandbox.

    ``environment`` is the caller's. ``secret`` gives another secret of the policy by name, for those that need one to get
    theirs; the policy has seen to it that none needs itself. ``share`` keeps what several secrets are fetched with, such as
    a log-in, under a key that nothing else has: it calls the function when there is none, or none that is still good, and
    gives it with the lifetime that is left; ``forget`` when a service does not take it any more. ``proxies`` are the caller's.
    """

    environment: Mapping[str, str]
    secret: Callable[[str], Awaitable[Secret]]
    share: Callable[[str, Hashable, Callable[[], Awaitable[Fetched]]], Awaitable[Fetched]]
    forget: Callable[[Hashable], None]
    proxies: CallerProxies = NO_CALLER_PROXIES


class Source(NamedTuple):
    """A source: the module ``name``, imported when it is first needed, unless it can ``read`` at once.

    ``ttl`` is how long its values are good for where neither the policy nor the service says, in seconds; ``None`` means
    for ever.
    """

    name: str
    ttl: float | None = 300.0
    read: Callable[[SecretSpec, Mapping[str, str]], bytes] | None = None

    async def fetch(self, spec: SecretSpec, outside: Outside) -> Fetched:
        """What the source gives."""
        if self.read is not None:
            return Fetched(self.read(spec, outside.environment))
        fetched: Fetched = await import_module(f"{__name__}.{self.name}").fetch(spec, outside)
        return fetched


SOURCES: Final[dict[str, Source]] = {
    # By the key that names the source in the policy file. Only sources that can be fetched from may live here.
    source.name: source
    for source in (
        Source("env", ttl=None, read=env.read),
        Source("file", ttl=60.0, read=file.read),
        Source("command", ttl=900.0),
        Source("keyring"),
        Source("vault"),
        Source("aws"),
        Source("gcp"),
        Source("azure"),
        Source("onepassword", ttl=900.0),
        Source("bitwarden", ttl=900.0),
        Source("kubernetes"),
        Source("oauth"),
        Source("github_app"),
        Source("aws_sts"),
        Source("gcp_token"),
    )
}
