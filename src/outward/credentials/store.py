"""The store: every secret of a policy, its value while it is good, and its placeholder."""

from __future__ import annotations

import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from outward.core import NO_CALLER_PROXIES, HostError, Secret, SecretUnavailable
from outward.credentials.captured import Captured, entry_of
from outward.credentials.kept import Kept, Lifetime
from outward.credentials.parts import part_of
from outward.credentials.sources import SOURCES, Outside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

    from outward.core import CallerProxies
    from outward.credentials.kept import Fetched
    from outward.policy import SecretSpec

CAPTURED: Final = "captured"
"""The source of what log-ins inside of sandboxes bring."""

UNKNOWN_SHAPE: Final = "outward-placeholder-" + "x" * 24
"""What a placeholder looks like when the value cannot be had at start-up without waiting for a program or a service."""

MASKED_VALUES: Final = 16
"""Values of one secret that are masked: the last ones. Of a token that is renewed every hour there would be ever more."""


class CredentialStore:
    """Fetches secrets when they are first needed, once however many requests wait; keeps them in memory only.

    A value is used for its ``ttl``, and not beyond what its service says; it is fetched anew ahead of that. When it cannot
    be renewed the requests that need it fail, they never use an expired value and never go out bare. Secrets that are parts
    of the same thing (the same source, asked the same) are fetched together, so that a user and a password match.
    """

    def __init__(
        self,
        specs: Mapping[str, SecretSpec],
        *,
        environment: Mapping[str, str],
        caller: CallerProxies = NO_CALLER_PROXIES,
        previous: CredentialStore | None = None,
        placeholders: Mapping[str, str] | None = None,
    ) -> None:
        """``caller`` has secrets that are at hand and in no policy.

        ``previous`` hands those on, its placeholders, so that clients survive a reload of the policy, and the values to mask:
        requests that began with it go on. ``placeholders`` are those that another process has made already.
        """
        self._specs: Final = specs
        self._environment: Final = environment
        # By what is asked for, which several secrets may be parts of; and what sources share, such as a log-in.
        self._kept: Final[dict[Hashable, Kept]] = {}
        self._secrets: Final[dict[str, Secret]] = {}
        # Shared, not copied: the previous store may still fetch.
        self._known: Final[dict[str, str]] = previous._known if previous else {}
        self.caller: Final[CallerProxies] = previous.caller if previous else caller
        for secret in self.caller.secrets:
            self._know(secret)
        self.captured: Final[Captured] = previous.captured if previous else Captured(environment, self._know)
        self._outside: Final = Outside(environment, self.get, self._share, self._forget, self.caller)
        self._given: Final = {secret.name: secret for secret in self.caller.secrets}
        known = placeholders or (previous.placeholders if previous else {})
        self.placeholders: Final[Mapping[str, str]] = MappingProxyType(
            {
                name: spec.placeholder or known.get(name) or self._new_placeholder(spec)
                for name, spec in specs.items()
                if spec.source != CAPTURED
            }
        )
        self.secret_of_placeholder: Final[Mapping[str, str]] = MappingProxyType(
            {text: name for name, text in self.placeholders.items()}
        )

    def _new_placeholder(self, spec: SecretSpec) -> str:
        from outward.credentials.placeholders import make_placeholder  # here: many a policy has no secret

        read = SOURCES[spec.source].read
        if read is None:
            return make_placeholder(UNKNOWN_SHAPE)
        try:
            return make_placeholder(read(spec, self._environment).decode("latin-1"))
        except SecretUnavailable:
            return make_placeholder(UNKNOWN_SHAPE)

    def stand_ins(self, name: str) -> tuple[str, ...]:
        """What stands for the value inside; the newest first. Of what is captured each agent has its own."""
        return () if self.is_captured(name) else (self.placeholders[name],)

    @property
    def version(self) -> int:
        """Grows when there are stand-ins that :meth:`foreign` did not know."""
        return self.captured.version

    def foreign(self, bound: Sequence[str], agent: str | None = None) -> dict[str, str]:
        """The names of all secrets but those in ``bound``, by their stand-ins.

        What is captured is bound for ``agent`` alone; others' is named as in the local store.
        """
        names = {text: name for text, name in self.secret_of_placeholder.items() if name not in bound}
        for text, (owner, name) in self.captured.owners.items():
            if owner != agent or name not in bound:
                names[text] = entry_of(owner, name)
        return names

    def is_captured(self, name: str) -> bool:
        """Whether log-ins bring it. See :class:`~outward.credentials.personal.AgentStore`."""
        return name in self._specs and self._specs[name].source == CAPTURED

    def is_missing(self, name: str) -> bool:
        """Whether there is none, because nobody has logged in."""
        return self.is_captured(name)

    async def prepare(self) -> None:
        """Knows the stand-ins of former log-ins from now on. What the local store objects to is told to who needs it."""
        if any(spec.source == CAPTURED for spec in self._specs.values()):
            with contextlib.suppress(HostError):
                await self.captured.load()

    def exposed(self) -> dict[str, str]:
        """Environment variables of the sandbox, holding placeholders."""
        return {spec.expose: self.placeholders[name] for name, spec in self._specs.items() if spec.expose}

    def cached(self, name: str) -> Secret | None:
        """The value if it is at hand and fresh. Raises :class:`SecretUnavailable` while a failure stands.

        The same object is given until the value changes.
        """
        if (given := self._given.get(name)) is not None:
            return given
        spec = self._specs[name]
        if spec.source == CAPTURED:
            raise SecretUnavailable(
                name,
                "log-ins inside the sandbox bring it, for each agent its own",
                hint="outward secret list shows which agents have logged in.",
            )
        try:
            fetched = self._of(spec).at_hand()
        except SecretUnavailable as error:
            raise _about(name, error) from error
        return None if fetched is None else self._secret(spec, fetched)

    def expiry(self, name: str) -> float:
        """Until when :meth:`cached` gives the same, on the monotonic clock; ask it again from then on."""
        return float("inf") if name in self._given else self._of(self._specs[name]).settled_until

    async def get(self, name: str) -> Secret:
        """The value, fetched if need be. Raises :class:`SecretUnavailable`."""
        ready = self.cached(name)
        if ready is not None:
            return ready
        spec = self._specs[name]
        try:
            fetched = await self._of(spec).get()
        except SecretUnavailable as error:
            raise _about(name, error) from error
        return self._secret(spec, fetched)

    async def fetch(self, name: str, *, needed: bool) -> None:
        """See :class:`~outward.credentials.injector.Values`. What has a source is always ``needed``."""
        del needed
        await self.get(name)

    def _of(self, spec: SecretSpec) -> Kept:
        key = (spec.source, spec.argument, spec.ttl)
        kept = self._kept.get(key)
        if kept is None:
            source = SOURCES[spec.source]
            lifetime = Lifetime(spec.ttl, source.ttl, ahead=source.read is None)
            kept = self._kept[key] = Kept(spec.name, lambda: source.fetch(spec, self._outside), lifetime)
        return kept

    async def _share(self, name: str, key: Hashable, fetch: Callable[[], Awaitable[Fetched]]) -> Fetched:
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = Kept(name, fetch, Lifetime())
        fetched = await kept.get()
        return fetched if fetched.lifetime is None else fetched._replace(lifetime=kept.remaining)

    def _forget(self, key: Hashable) -> None:
        if (kept := self._kept.get(key)) is not None:
            kept.forget()

    def _secret(self, spec: SecretSpec, fetched: Fetched) -> Secret:
        """The part of ``fetched`` that the secret is. Raises :class:`SecretUnavailable` if there is no such part."""
        value = part_of(spec.name, spec.part, fetched.value)
        known = self._secrets.get(spec.name)
        if known is not None and known.reveal() == value:
            return known
        secret = self._secrets[spec.name] = Secret(spec.name, value)
        self._know(secret)
        return secret

    def _know(self, secret: Secret) -> None:
        """Its value is masked from now on; an empty one would be everywhere."""
        if not (value := secret.reveal()):
            return
        self._known[value.decode("latin-1")] = secret.name
        of_this_name = [text for text, name in self._known.items() if name == secret.name]
        for text in of_this_name[:-MASKED_VALUES]:
            del self._known[text]

    def mask(self, text: str) -> str:
        """``text`` without any value that has been fetched so far, for the journal and for messages.

        Also without a value of which some characters are percent-encoded, as in paths: then it is shown decoded.
        """
        if "%" in text:
            plain = unquote(text, encoding="latin-1")
            if any(value in plain and value not in text for value in self._known):
                text = plain
        for value, name in self._known.items():
            if value in text:
                text = text.replace(value, f"[secret {name}]")
        return text


def _about(name: str, error: SecretUnavailable) -> SecretUnavailable:
    """The same failure, under the name of the secret that was asked for."""
    return error if error.name == name else SecretUnavailable(name, error.reason, hint=error.hint)
