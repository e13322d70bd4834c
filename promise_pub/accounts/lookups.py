"""Lookups of who sent a request: few at a time, and one for all who ask the same while it waits for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from promise_pub.concurrency import BackgroundTasks
from promise_pub.errors import DatabaseUnavailable

MAX_AT_ONCE = 3  # lookups; runs and pages need the pool's other connections
TURN_TIMEOUT = 9.0  # seconds to wait for the answers of others' lookups and of one's own

T = TypeVar("T")


class Lookups:
    """The lookups of one server. Whatever was revoked before a request came is not found for it."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)
        self._waiting: dict[Hashable, asyncio.Task[Any]] = {}
        self._running = BackgroundTasks()

    async def find(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """Returns or raises what `ask` does, or what it does for another caller with this key.

        Raises DatabaseUnavailable where too many wait for answers that do not come.
        """
        lookup: asyncio.Task[T] | None = self._waiting.get(key)
        if lookup is None:
            lookup = self._waiting[key] = self._running.start(self._ask(key, ask))
        done, _ = await asyncio.wait({lookup}, timeout=TURN_TIMEOUT)
        if not done:
            raise DatabaseUnavailable(f"The database did not tell within {TURN_TIMEOUT:g} s who sent the request.")
        return lookup.result()

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._turns:
            # Who comes from now on asks anew.
            del self._waiting[key]
            return await ask()
