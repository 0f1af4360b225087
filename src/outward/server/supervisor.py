"""A ``serve`` of several processes: starts workers, replaces those that die, passes orders on.

It serves nothing itself. It has one thread and no event loop, so that it can fork at any time; it waits for signals, messages
and the ends of its children, and for the next of its timers.

docs/architecture.md says why workers are forked, and why they share sockets instead of using SO_REUSEPORT.
"""

from __future__ import annotations

import gc
import heapq
import itertools
import json
import os
import selectors
import signal
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from outward.core import HostError, OutwardError
from outward.credentials import CredentialStore
from outward.gateway.ruleset import Ruleset
from outward.server.backoff import Backoff
from outward.server.channel import Kind, Message, write_change
from outward.server.listening import address_of, listening
from outward.server.process import SIGNALS
from outward.server.reader import Reader
from outward.server.service import DRAIN_TIME
from outward.server.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outward.policy import Policy, Sources
    from outward.server.listening import Bound, Plan
    from outward.server.worker import Ground

LEEWAY: Final = 5.0
"""Seconds beyond its own time-out that a worker gets to end before it is killed."""

REPLACE_TIME: Final = 15.0
"""Seconds for a worker to take a new policy over; then another takes its place."""

UNCLEAN: Final = 1
"""Exit status when not every worker ended in order."""


class Supervisor:
    """The supervisor of one ``serve``."""

    def __init__(
        self, ground: Ground, policy: Policy, *, gather: Callable[[], Sources], report: Callable[[str], None]
    ) -> None:
        """``gather`` reads the policy again (SIGHUP); ``report`` shows a line to the person."""
        self._ground: Final = ground
        self._gather: Final = gather
        self._report: Final = report
        self._ruleset = Ruleset(
            policy, CredentialStore(policy.secrets, environment=ground.environment, caller=ground.caller)
        )
        self._bound: list[Bound] = []
        self._selector: Final = selectors.DefaultSelector()
        self._wakeup: Final = socket.socketpair()
        self._timers: Final[list[tuple[float, int, Callable[[], None]]]] = []
        self._order: Final = itertools.count()
        self._numbers: Final = itertools.count(1)
        self._workers: Final[dict[int, Worker]] = {}
        """By place. A worker that died leaves its place to another, which has a number of its own."""
        self._backoff: Final = [Backoff() for _ in range(ground.workers)]
        self._ready: Callable[[], None] | None = None
        """Called once all accept; nothing afterwards."""
        self._reader: Reader | None = None
        self._following: set[Worker] = set()
        """Who has not said yet that a new policy is in force."""
        self._again = False
        self._stopping = False
        self._status = 0

    def run(self, plan: Plan, ready: Callable[[str], None]) -> int:
        """Serves until SIGTERM or SIGINT, then drains; gives the exit status.

        ``ready`` gets the JSON line once every worker accepts connections. Raises :class:`HostError` if one cannot begin.
        """
        with ExitStack() as stack:
            self._bound = stack.enter_context(listening(plan, self._ruleset.policy.agents))
            names = [address_of(sock) for sock, _ in self._bound]
            authority = self._ground.authority.certificate_file
            line = json.dumps({"event": "ready", "listen": names, "ca": str(authority)})
            self._ready = partial(ready, line)
            stack.enter_context(self._signals())
            stack.callback(self._end_all)
            # What workers inherit stays shared as long as nobody writes to it, and the collector writes to all it looks at.
            gc.collect()
            gc.freeze()
            for place in range(self._ground.workers):
                self._start(place)
            while self._workers or self._reader or not self._stopping:
                self._wait()
        return self._status

    # -- waiting

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals become octets to read: they interrupt nothing, and none gets lost."""
        reading, writing = self._wakeup
        for end in self._wakeup:
            end.setblocking(False)
        before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
        signal.set_wakeup_fd(writing.fileno())
        self._selector.register(reading, selectors.EVENT_READ, self._on_signals)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._release()

    def _release(self) -> None:
        """Closes what is the supervisor's alone: at its end, and in each process that it forks."""
        self._selector.close()
        for end in self._wakeup:
            end.close()
        for worker in self._workers.values():
            worker.close()
        if self._reader is not None:
            self._reader.close()

    def _wait(self) -> None:
        timeout = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        for key, _ in self._selector.select(timeout):
            if self._selector.get_map().get(key.fd) is key:  # another one may have made an end of it meanwhile
                key.data()
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _after(self, seconds: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), callback))

    def _on_signals(self) -> None:
        for number in self._wakeup[0].recv(4096):
            if number == signal.SIGHUP:
                self._reload()
            elif number in SIGNALS:
                self._stop()

    # -- workers

    def _start(self, place: int) -> None:
        if self._stopping:
            return
        number = next(self._numbers)
        try:
            worker = Worker(number, self._ground, self._bound, self._ruleset, release=self._release)
        except OSError as error:
            self._replace(place, f"worker {number} cannot be started: {error.strerror or error}", 0.0)
            return
        self._workers[place] = worker
        self._selector.register(worker.channel, selectors.EVENT_READ, partial(self._on_message, worker))
        self._selector.register(worker.process, selectors.EVENT_READ, partial(self._on_end, place, worker))

    def _on_message(self, worker: Worker) -> None:
        try:
            message = worker.channel.receive()
        except BlockingIOError:
            return
        if message is None:
            self._selector.unregister(worker.channel)
        else:
            self._heed(worker, message)

    def _heed(self, worker: Worker, message: Message) -> None:
        if message.kind is Kind.READY:
            worker.since = time.monotonic()
            if self._ready is not None and len([w for w in self._workers.values() if w.since]) == self._ground.workers:
                ready, self._ready = self._ready, None
                ready()
                self._reload_again()
        elif message.kind is Kind.REPLACED:
            self._follows(worker)
        elif message.kind is Kind.FAILED:
            worker.trouble = message.text
            worker.process.kill()

    def _on_end(self, place: int, worker: Worker) -> None:
        with suppress(BlockingIOError):  # first its last words: they say why
            while message := worker.channel.receive():
                self._heed(worker, message)
        if worker.channel in self._selector.get_map():
            self._selector.unregister(worker.channel)
        self._selector.unregister(worker.process)
        del self._workers[place]
        how = worker.reap()
        if not self._stopping:
            served = 0.0 if worker.since is None else time.monotonic() - worker.since
            self._replace(place, f"{worker} {how or 'ended'}", served)
        elif how:
            self._status = UNCLEAN
            self._report(f"{worker} {how}")
        self._follows(worker)

    def _replace(self, place: int, what: str, served: float) -> None:
        if self._ready is not None:
            raise HostError(what)  # it would be the same again
        delay = self._backoff[place].after(served)
        self._report(f"{what}; another takes its place" + (f" in {delay:g} s" if delay else ""))
        self._after(delay, partial(self._start, place))

    def _end_all(self) -> None:
        """Whatever happened, nothing is left behind."""
        if self._reader is not None:
            self._reader.process.kill()
            self._reader.process.reap()
            self._reader = None
        for worker in self._workers.values():
            worker.process.kill()
            worker.reap()
        self._workers.clear()

    # -- the end

    def _stop(self) -> None:
        hurry, self._stopping = self._stopping, True
        if not hurry:
            self._report(f"stopping: requests in flight get {DRAIN_TIME:.0f} s")
            for sock, _ in self._bound:
                sock.close()
            if self._reader is not None:
                self._reader.process.kill()
        for worker in self._workers.values():
            worker.send(Message(Kind.STOP))
        self._after(LEEWAY if hurry else DRAIN_TIME + LEEWAY, self._lose_patience)

    def _lose_patience(self) -> None:
        for worker in self._workers.values():
            worker.process.kill()

    # -- a new policy

    def _reload(self) -> None:
        """One reload after the other, however many signals come."""
        if self._stopping:
            return
        if self._ready is not None or self._reader is not None or self._following:
            self._again = True
            return
        try:
            self._reader = Reader(self._gather, release=self._release)
        except OSError as error:
            self._not_reloaded(error.strerror or str(error))
            return
        self._selector.register(self._reader.process, selectors.EVENT_READ, self._on_read)

    def _on_read(self) -> None:
        """All or nothing: a broken policy is seen here, before any worker hears of it.

        From a good one on there is no way back: whoever does not take it over in time is replaced by a worker that began
        with it.
        """
        reader, self._reader = self._reader, None
        assert reader is not None
        self._selector.unregister(reader.process)
        try:
            sources = reader.result()
            policy, environment = sources.load(), self._ground.environment
            store = CredentialStore(policy.secrets, environment=environment, previous=self._ruleset.store)
            ruleset = Ruleset(policy, store)
            change = write_change(sources, store.placeholders)
        except OutwardError as error:
            self._not_reloaded(error.message)
        except OSError as error:
            self._not_reloaded(error.strerror or str(error))
        else:
            self._ruleset = ruleset
            self._tell(change)

    def _tell(self, change: int) -> None:
        self._following = set(self._workers.values())
        self._after(REPLACE_TIME, partial(self._replace_stragglers, self._following))
        for worker in self._workers.values():
            worker.send(Message(Kind.REPLACE, descriptor=change))
        os.close(change)
        if not self._following:
            self._reloaded()

    def _not_reloaded(self, why: str) -> None:
        if not self._stopping:  # then it was not asked for any more
            self._report(f"the policy was not reloaded, the old one stays in force:\n{why}")
            self._reload_again()

    def _follows(self, worker: Worker) -> None:
        """The worker decides by the new policy, or no more at all."""
        if worker in self._following:
            self._following.remove(worker)
            if not self._following:
                self._reloaded()

    def _reloaded(self) -> None:
        self._report("the policy was reloaded")
        self._reload_again()

    def _reload_again(self) -> None:
        if self._again:
            self._again = False
            self._reload()

    def _replace_stragglers(self, following: set[Worker]) -> None:
        """``following`` is of one reload: a later one has a set of its own."""
        for worker in following:
            worker.trouble = "it did not take the new policy over"
            worker.process.kill()
