"""Lookups of who sent a request: few at a time, and one for all who ask the same while it waits for its turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from promise_pub.concurrency import read_error
from promise_pub.errors import DatabaseUnavailable, ServerBusy

MAX_AT_ONCE = 3  # lookups; runs and pages need the pool's other connections
MAX_WAITING = 20  # lookups of one client that wait for their turn; those of its own tokens share one
TURN_TIMEOUT = 7.0  # seconds to wait for the answers of others' lookups and of one's own

T = TypeVar("T")


class _Lookup:
    """A lookup that waits for its turn, or had it, and how many wait for its answer."""

    def __init__(self, key: Hashable, client: str) -> None:
        self.key = key
        self.client = client
        self.callers = 0
        self.queued = True
        self.task: asyncio.Task[Any]


class Lookups:
    """The lookups of one server. Whatever was revoked before a request came is not found for it."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)
        self._queued: dict[Hashable, _Lookup] = {}
        self._of_clients = Counter[str]()

    async def find(self, key: Hashable, ask: Callable[[], Awaitable[T]], client: str = "") -> T:
        """Returns or raises what `ask` does, or what it does for another caller with this key.

        Raises ServerBusy where too many lookups of the client wait, DatabaseUnavailable where no answer comes.
        """
        lookup = self._queued.get(key) or self._enqueue(key, ask, client)
        lookup.callers += 1
        try:
            done, _ = await asyncio.wait({lookup.task}, timeout=TURN_TIMEOUT)
        finally:
            lookup.callers -= 1
            if not lookup.callers and lookup.queued:
                lookup.task.cancel()
        if not done:
            raise DatabaseUnavailable(f"The database did not tell within {TURN_TIMEOUT:g} s who sent the request.")
        result: T = lookup.task.result()
        return result

    def _enqueue(self, key: Hashable, ask: Callable[[], Awaitable[T]], client: str) -> _Lookup:
        if self._of_clients[client] >= MAX_WAITING:
            raise ServerBusy("Too many of your requests wait until it is known who sent them.")
        lookup = self._queued[key] = _Lookup(key, client)
        self._of_clients[client] += 1
        lookup.task = asyncio.create_task(self._ask(lookup, ask))
        lookup.task.add_done_callback(read_error)
        # A task that is cancelled before it has begun runs nothing of itself.
        lookup.task.add_done_callback(lambda _: self._dequeue(lookup))
        return lookup

    async def _ask(self, lookup: _Lookup, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._turns:
            # Who comes from now on asks anew.
            self._dequeue(lookup)
            return await ask()

    def _dequeue(self, lookup: _Lookup) -> None:
        if lookup.queued:
            lookup.queued = False
            del self._queued[lookup.key]
            self._of_clients[lookup.client] -= 1
            if not self._of_clients[lookup.client]:
                del self._of_clients[lookup.client]
