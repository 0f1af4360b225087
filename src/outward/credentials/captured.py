"""What log-ins inside of sandboxes have brought: kept in the local store, known inside by stand-ins alone.

A value belongs to one agent, under one of the names that the policy gives to captured secrets. Its record in the local store is
``captured/AGENT/NAME``; it holds the value and the stand-ins that clients may have for it, the newest first. All gateways of
a user share the store, so each looks whether it has changed before it uses what it knows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from outward.core import HostError, Secret, SecretUnavailable
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import ExitStack

    from outward.credentials.local.store import LocalStore

PREFIX: Final = "captured/"

STAND_INS: Final = 4
"""Stand-ins of one value that are understood: the last ones. A client may hold one from before the last refresh."""


class Token(NamedTuple):
    """A captured value, and what stands for it inside; the newest stand-in first."""

    secret: Secret
    stand_ins: tuple[str, ...]


def entry_of(agent: str, name: str) -> str:
    """The name of a record in the local store."""
    return f"{PREFIX}{agent}/{name}"


class Captured:
    """The captured values of all agents, as far as they are known here. Shared by the stores of successive policies."""

    def __init__(self, environment: Mapping[str, str], know: Callable[[Secret], None]) -> None:
        """``know`` is told of each value, to mask it."""
        self._environment: Final = environment
        self._know: Final = know
        self._local: LocalStore | None = None
        self._mark: object = None
        self._loaded = False
        self._tokens: dict[tuple[str, str], Token] = {}
        # Also those of values that are gone: whoever sends one still has it from us.
        self.owners: Final[dict[str, tuple[str, str]]] = {}
        self.version = 0
        """Grows with each stand-in that is new."""

    @property
    def _store(self) -> LocalStore:
        if self._local is None:
            from outward.credentials.local.store import LocalStore  # here: few policies capture anything

            self._local = LocalStore(self._environment)
        return self._local

    def is_current(self) -> bool:
        """Whether what is known is what the store holds; else :meth:`load`."""
        return self._loaded and self._store.mark() == self._mark

    async def load(self) -> None:
        """Reads what the store holds. Raises :class:`HostError`."""
        store = self._store
        mark = store.mark()  # before: what is written meanwhile is read the next time
        found: dict[tuple[str, str], Token] = {}
        for entry in store.entries():
            agent, _, name = entry.removeprefix(PREFIX).partition("/")
            if not entry.startswith(PREFIX) or not name:
                continue
            content = await store.get(entry)
            if content is not None:
                found[agent, name] = self._token(name, content, self._tokens.get((agent, name)))
        self._tokens = found
        for (agent, name), token in found.items():
            self._own(agent, name, token)
        self._mark, self._loaded = mark, True

    def get(self, agent: str, name: str) -> Token | None:
        """The agent's value of this name, if it has logged in. The same object as long as it and its stand-ins are the same."""
        return self._tokens.get((agent, name))

    async def take_turn(self, agent: str) -> ExitStack:
        """Waits until nobody else on this machine logs the agent in, or refreshes its log-in; until the stack is closed.

        A refresh token may be good for one use, and a second one be taken for theft. Raises :class:`HostError`.
        """
        return await self._store.take_turn(PREFIX + agent)

    async def keep(self, agent: str, values: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Keeps what a service has issued, pairs of a secret's name and its value: the stand-in of each name.

        In this order, so what is needed to get the others comes first. Raises :class:`HostError`; then some may have been
        kept, and none may be given away.
        """
        from outward.credentials.placeholders import make_token  # here: few answers are captured

        stand_ins: dict[str, str] = {}
        for name, value in values:
            known = self._tokens.get((agent, name))
            stand_in = make_token(value, known.stand_ins[0] if known else None)
            before = known.stand_ins if known else ()
            all_of_it = (stand_in, *(text for text in before if text != stand_in))[:STAND_INS]
            token = Token(Secret(name, value.encode()), all_of_it)
            record = json.dumps({"value": value, "stand_ins": all_of_it})
            await self._store.put(entry_of(agent, name), record.encode())
            self._tokens[agent, name] = token
            self._own(agent, name, token)
            stand_ins[name] = stand_in
        return stand_ins

    def _own(self, agent: str, name: str, token: Token) -> None:
        self._know(token.secret)
        for text in token.stand_ins:
            if text not in self.owners:
                self.owners[text] = agent, name
                self.version += 1

    def _token(self, name: str, content: bytes, known: Token | None) -> Token:
        try:
            document = json.loads(content)
            value, stand_ins = str(document["value"]).encode(), tuple(map(str, document["stand_ins"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            value, stand_ins = b"", ()
        if not value or not stand_ins:
            raise HostError(
                f"what is kept as {name!r} of an agent is damaged", hint="outward secret list; outward secret rm"
            )
        if known is not None and known.secret.reveal() == value and known.stand_ins == stand_ins:
            return known
        return Token(Secret(name, value), stand_ins)


def unavailable(name: str, error: HostError) -> SecretUnavailable:
    """The local store's trouble, as that of the secret ``name``."""
    return SecretUnavailable(name, error.message, hint=error.hint)


def not_logged_in(name: str, agent: str) -> SecretUnavailable:
    """There is no such value yet, or no more."""
    return SecretUnavailable(
        name, f"{agent!r} has not logged in", hint="Log in inside the sandbox: the token stays outside."
    )
