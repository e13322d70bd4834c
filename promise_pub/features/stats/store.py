"""The rows of statistics in PostgreSQL: they change together with the position up to which events are counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from operator import itemgetter
from typing import Any

from promise_pub.concurrency import run_in_thread
from promise_pub.db import COMMAND_TIMEOUT, CONNECT_TIMEOUT, RELEASE_TIMEOUT, answering, translated
from promise_pub.errors import PromisePubError
from promise_pub.features.stats.changed_rows import columns_of_cells, columns_of_entries, pieces
from promise_pub.features.stats.intervals import ORIGIN
from promise_pub.features.stats.known_keys import Window
from promise_pub.features.stats.records import Changes, KnownKeys, LeftOut, SketchKey
from promise_pub.features.stats.registry import StatsRegistry
from promise_pub.features.stats.sketches import deflate, inflate, unite

TURN_EVERY = 5.0  # seconds between tries for the turn to count
MAX_LEFT_OUT = 100  # events of a statistic that are told
SKETCHES = 500  # that are united at once: two megabytes
WINDOWS = 2_000  # whose keys are asked for at once


class KeeperLost(PromisePubError):
    """Statistics were counted, changed or forgotten by somebody else meanwhile."""

    code = "statistics_counted_elsewhere"
    passes = True


class StatsStore(StatsRegistry):
    """The stored statistics, as they are counted."""

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[Callable[[], bool]]:
        """Waits until nobody else counts, and keeps others from it during the block.

        Yields what tells whether the connection that has the lock is still there. One that was cut off without a word is
        noticed by the server, which lets somebody else count; then `counting` raises KeeperLost.
        """
        with translated():
            connection = await self._pool.acquire(timeout=CONNECT_TIMEOUT)
        try:
            with translated():
                await self._sql.watch_client(connection)
                while True:
                    if await self._sql.try_keeping(connection):
                        break
                    await asyncio.sleep(TURN_EVERY)
            yield lambda: not connection.is_closed()
        finally:
            # Broken, or reset and back in the pool: the lock is gone either way.
            with suppress(Exception):
                await self._pool.release(connection, timeout=RELEASE_TIMEOUT)

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[CountingTurn]:
        """Yields a transaction, which is committed with the block. Where the connection is lost at its commit, positions
        tell whether it was."""
        async with (
            answering(self._pool, COMMAND_TIMEOUT) as connection,
            connection.transaction(isolation="read_committed"),
        ):
            await self._bound_waits(connection)
            yield CountingTurn(connection, self._sql)


class CountingTurn:
    """A transaction in which positions move, and rows with them."""

    def __init__(self, connection: Any, sql: Any) -> None:
        self._connection = connection
        self._sql = sql

    async def move(self, ids: Sequence[int], after: int, up_to: int, left_out: Sequence[LeftOut]) -> None:
        """Moves the position of versions, and notes the first events that they left out.

        Raises KeeperLost unless each of them had this position, and was counted.
        """
        more = Counter(one.statistic for one in left_out)
        moved = self._sql.move(
            self._connection, ids=ids, after=after, up_to=up_to, left_outs=[more[one] for one in ids]
        )
        room = {row["id"]: MAX_LEFT_OUT - row["before"] async for row in moved}
        if room.keys() != {*ids}:
            raise KeeperLost
        told: list[LeftOut] = []
        for one in left_out:
            if room[one.statistic] > 0:
                room[one.statistic] -= 1
                told.append(one)
        if told:
            await self._sql.add_left_out(self._connection, **_columns(("statistics", "seqs", "errors"), told))

    async def add_gap(self, ids: Sequence[int], after: int, up_to: int, why: str) -> None:
        count = len(ids)
        await self._sql.add_gaps(
            self._connection, statistics=ids, afters=[after] * count, up_tos=[up_to] * count, whys=[why] * count
        )

    async def keys_of(self, windows: Sequence[Window]) -> KnownKeys:
        """Returns the keys that windows have."""
        keys: dict[Window, set[str]] = {window: set() for window in windows}
        for n in range(0, len(windows), WINDOWS):
            given = _columns(("statistics", "widths", "starts"), windows[n : n + WINDOWS])
            async for row in self._sql.window_keys(self._connection, **given, origin=ORIGIN):
                keys[row["statistic"], row["width"], row["start"]].add(row["key"])
        return {window: frozenset(known) for window, known in keys.items()}

    async def add(self, changes: Changes) -> None:
        """Adds to the rows, in the order of their primary keys, so that two who do so never wait for each other in turn."""
        for columns in await run_in_thread(columns_of_cells, changes.cells):
            await self._sql.add_cells(self._connection, **columns)
        for columns in await run_in_thread(columns_of_entries, changes.entries):
            await self._sql.add_entries(self._connection, **columns)
        for piece in pieces(sorted(changes.sketches.items()), SKETCHES):
            await self._unite(dict(piece))

    async def _unite(self, sketches: dict[SketchKey, bytes]) -> None:
        places = ("statistics", "widths", "starts", "keys")
        found = self._sql.sketches(self._connection, **_columns(places, [*sketches]))
        stored = {SketchKey(*row[:4]): row["sketch"] async for row in found}
        united = await run_in_thread(_united, sketches, stored)
        await self._sql.put_sketches(self._connection, **_columns((*places, "sketches"), united))


def _united(sketches: dict[SketchKey, bytes], stored: dict[SketchKey, bytes]) -> list[tuple[Any, ...]]:
    return [
        (*key, deflate(unite(registers, inflate(stored[key])) if key in stored else registers))
        for key, registers in sketches.items()
    ]


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [*map(itemgetter(n), rows)] for n, name in enumerate(names)}
