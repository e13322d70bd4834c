"""Events from the bus into the journal, beside the same rows by COPY and by SQLAlchemy.

The servers take events first; their rows are what the others insert, into the same table with all its indexes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.journal.events import filled_bus
from benchmarks.measure import Bench, in_rotation
from benchmarks.services import NotMeasured
from promise_pub import db
from promise_pub.amqp.reading import read_queue
from promise_pub.features.journal.bus.inbox import Inbox
from promise_pub.features.journal.bus.taking import MAX_TAKEN
from promise_pub.settings.model import DatabaseSettings

OURS, COPIED, ONE_BY_ONE = "bus → journal, committed and acknowledged", "COPY", "SQLAlchemy, one event a transaction"
READ_ONLY = "the broker alone: events read, acknowledged and dropped"
LOOK_EVERY = 0.02  # seconds between two looks at the number of the last event
_TIMEOUT = 300  # seconds

_TABLE = "journal_events"
_ROWS = "SELECT * FROM journal_events WHERE source = 'bus' ORDER BY seq"


@dataclass(frozen=True)
class Inserted:
    """Events that were inserted, and what that took; `processor` is the server's, in seconds."""

    rows: int
    seconds: float
    processor: float = 0.0

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.rows / self.seconds


async def measure_taking(bench: Bench) -> dict[str, list[Inserted]]:
    """Returns the rounds of each way to insert events."""
    file = bench.services.folder / "events.copy"
    measures: dict[str, Callable[[], Awaitable[Inserted]]] = {
        OURS: partial(_taken, bench, file),
        READ_ONLY: partial(_read_only, bench),
        COPIED: partial(_copied, bench, file),
        ONE_BY_ONE: partial(_one_by_one, bench, file, max(bench.rows // 40, 500)),
    }
    try:
        return await in_rotation("journal", bench.rounds, measures, lambda one: f"{one.rate:>8,.0f} events/s")
    finally:
        file.unlink(missing_ok=True)


async def _taken(bench: Bench, file: Path) -> Inserted:
    """Lets a fresh server take what its queue holds, and copies the rows that it made into the file.

    Counts from the first batch that is seen, so that the start of the server is not measured.
    """
    services = bench.services
    async with (
        filled_bus(services.rabbit, bench.rows) as bus,
        services.database() as database,
        db.open_pool(database, max_size=1) as pool,
        services.counting_consumer() as consumer,
    ):
        async with services.server(consumer, database, features={"bus": bus}) as server, asyncio.timeout(_TIMEOUT):
            first, started, busy = await _until(pool, 100), time.perf_counter(), server.processor()
            last = await _until(pool, bench.rows)
            inserted = Inserted(last - first, time.perf_counter() - started, server.processor() - busy)
        await pool.copy_from_query(_ROWS, output=file, format="binary")
    return inserted


async def _until(pool: asyncpg.Pool, seq: int) -> int:
    """Waits for an event with this number or a higher one, and returns it."""
    while (last := int(await pool.fetchval("SELECT seq FROM journal_head"))) < seq:  # noqa: ASYNC110  another process appends
        await asyncio.sleep(LOOK_EVERY)
    return last


async def _read_only(bench: Bench) -> Inserted:
    """Reads the queue as the server does, in batches and by the same tap, and keeps nothing."""
    services = bench.services
    async with filled_bus(services.rabbit, bench.rows) as bus, asyncio.timeout(_TIMEOUT):
        inbox = Inbox()
        started = time.perf_counter()
        async with read_queue(services.rabbit, bus.queue, inbox.take_frames, inbox.note_end, MAX_TAKEN) as channel:
            count = 0
            while count < bench.rows:
                batch = await inbox.next_batch()
                if not batch:
                    raise NotMeasured("The queue could not be read to its end.")
                count += len(batch)
                await channel.ack(batch[-1].tag)
            return Inserted(count, time.perf_counter() - started)


async def _copied(bench: Bench, file: Path) -> Inserted:
    async with bench.services.database() as database, db.open_pool(database, max_size=1) as pool:
        started = time.perf_counter()
        status = await pool.copy_to_table(_TABLE, source=file, format="binary", timeout=_TIMEOUT)
        return Inserted(int(status.split()[1]), time.perf_counter() - started)


async def _one_by_one(bench: Bench, file: Path, count: int) -> Inserted:
    """Looks for the key, inserts and commits, as a consumer does that has a session for each message."""
    async with bench.services.database() as database:
        async with db.open_pool(database, max_size=1) as pool:
            await pool.copy_to_table(_TABLE, source=file, format="binary", timeout=_TIMEOUT)
            records = await pool.fetch(_ROWS + " LIMIT $1", count)
            await pool.execute("TRUNCATE journal_events")
        return await _insert_each(database, [{**each, "headers": json.loads(each["headers"])} for each in records])


async def _insert_each(database: DatabaseSettings, rows: list[dict[str, Any]]) -> Inserted:
    # Installed to be measured alone.
    from sqlalchemy import MetaData, Table, insert, select
    from sqlalchemy.ext.asyncio import create_async_engine

    arguments = await db.connection_arguments(database)
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(**arguments))
    try:
        async with engine.connect() as connection:
            table = await connection.run_sync(lambda sync: Table(_TABLE, MetaData(), autoload_with=sync))
        started = time.perf_counter()
        for row in rows:
            async with engine.begin() as connection:
                known = await connection.scalar(select(table.c.seq).where(table.c.key == row["key"]))
                if known is not None:
                    raise NotMeasured("A key was there before.")
                await connection.execute(insert(table), row)
        return Inserted(len(rows), time.perf_counter() - started)
    finally:
        await engine.dispose()
