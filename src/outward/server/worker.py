"""One worker: a process of its own with a gateway, a journal and the listeners that all workers share.

Forked by a supervisor that has neither threads nor an event loop, so what it inherits is whole: the compiled policy, the
listening sockets, the modules. Secrets are not among it: each worker fetches what it needs.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvloop

from outward.audit import Journal, worker_session
from outward.audit.journal import FILE_BYTES, LIMIT_BYTES
from outward.audit.telling import Telling
from outward.core import OutwardError
from outward.server.channel import Channel, Kind, Message, read_change
from outward.server.process import Process
from outward.server.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from outward.core import CallerProxies
    from outward.gateway.ruleset import Ruleset
    from outward.pki import Authority
    from outward.policy import Policy
    from outward.server.listening import Bound

_FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class Ground:
    """What is the same for all workers of a ``serve``, whenever they begin. ``journal`` is the journals' directory; ``tell``
    gets their records as lines, too.
    """

    environment: Mapping[str, str]
    caller: CallerProxies
    authority: Authority
    journal: Path
    session: str
    workers: int
    tell: Callable[[str], None] | None = None

    def open_journal(self, number: int) -> Journal:
        """A chain of its own for worker ``number``. Raises :class:`HostError`.

        All together keep the directory's limit: when one of them makes room, each other may have an empty file to fill.
        """
        share = FILE_BYTES // self.workers
        return Journal.open(
            self.journal,
            session=worker_session(self.session, number),
            limit_bytes=LIMIT_BYTES - (self.workers - 1) * share,
            file_bytes=share,
        )


class Worker:
    """The supervisor's side of a worker."""

    def __init__(
        self, number: int, ground: Ground, bound: Sequence[Bound], ruleset: Ruleset, *, release: Callable[[], None]
    ) -> None:
        """Forks; ``release``: see :class:`Process`. Raises :class:`OSError`."""
        self.number: Final = number
        self.since: float | None = None
        """When it began to accept connections, on the monotonic clock."""
        self.trouble = ""
        """Why it cannot go on, in its own words."""
        self.channel, theirs = Channel.pair()

        def main() -> int:
            self.channel.close()
            return _main(number, ground, bound, ruleset, theirs)

        try:
            self.process: Final = Process(main, release=release)
        except OSError:
            self.channel.close()
            raise
        finally:
            theirs.close()

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.process.pid})"

    def send(self, message: Message) -> None:
        """Tells the worker; one that does not listen is killed."""
        try:
            self.channel.send(message)
        except OSError:
            self.process.kill()

    def reap(self) -> str:
        """Waits for the end: how it ended, nothing if in order."""
        code = self.process.reap()
        self.channel.close()
        if self.trouble:
            return f"could not go on: {self.trouble}"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with status {code}" if code else ""

    def close(self) -> None:
        """Lets go of it, however it goes on."""
        self.process.close()
        self.channel.close()


def _main(number: int, ground: Ground, bound: Sequence[Bound], ruleset: Ruleset, channel: Channel) -> int:
    """The worker's own life; gives its exit status."""
    try:
        with ground.open_journal(number) as journal:
            service = Service(
                ruleset.policy,
                ruleset.store,
                environment=ground.environment,
                authority=ground.authority,
                journal=Telling(journal, ground.tell) if ground.tell is not None else journal,
                ids=f"w{number}-",
            )
            uvloop.run(_Orders(service, channel).follow(bound))
    except OutwardError as error:
        channel.send(Message(Kind.FAILED, f"{error.message} ({error.hint})" if error.hint else error.message))
        return _FAILED
    return 0


class _Orders:
    """Does as the supervisor says."""

    def __init__(self, service: Service, channel: Channel) -> None:
        self._service: Final = service
        self._channel: Final = channel
        self._task: asyncio.Task[None] | None = None

    async def follow(self, bound: Sequence[Bound]) -> None:
        """Serves until told to stop."""
        asyncio.get_running_loop().add_reader(self._channel, self._on_message)
        await self._service.run(bound, lambda: self._channel.send(Message(Kind.READY)))

    def _on_message(self) -> None:
        try:
            message = self._channel.receive()
        except BlockingIOError:
            return
        if message is None:  # the supervisor is gone; the kernel is about to end us as well
            asyncio.get_running_loop().remove_reader(self._channel)
            self._service.stop()
            self._service.stop()
        elif message.kind is Kind.STOP:
            self._service.stop()
        elif message.descriptor is not None:
            self._task = asyncio.get_running_loop().create_task(self._replace(message.descriptor))

    async def _replace(self, descriptor: int) -> None:
        """Takes a policy over that the supervisor has found good. Compiled in a thread: requests go on meanwhile."""
        try:
            policy, placeholders = await asyncio.get_running_loop().run_in_executor(None, _compile, descriptor)
            await self._service.replace(policy, placeholders)
        except OutwardError as error:
            # The old policy must not stay in force here alone: the supervisor ends us, and starts another with the new.
            self._channel.send(Message(Kind.FAILED, error.message))
        else:
            self._channel.send(Message(Kind.REPLACED))


def _compile(descriptor: int) -> tuple[Policy, dict[str, str]]:
    try:
        sources, placeholders = read_change(descriptor)
    finally:
        os.close(descriptor)
    return sources.load(), placeholders
