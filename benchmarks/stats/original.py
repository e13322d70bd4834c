"""The algorithm of statscache, the peer: pages of 100 events; for each statistic, window and key a row is looked for, then
inserted or updated, and each statistic commits by itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import asyncpg

from benchmarks.journal.taking import Inserted
from promise_pub import db
from promise_pub.settings.model import DatabaseSettings

PAGE = 100  # events
WIDTHS = (60, 3600, 86400)  # seconds

Keys = Callable[[asyncpg.Record], str]

_TABLE = """
    CREATE TABLE peer (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name TEXT NOT NULL, width INTEGER NOT NULL, timestamp TIMESTAMPTZ NOT NULL, category TEXT, scalar INTEGER NOT NULL
    );
    CREATE INDEX ON peer (timestamp);
"""
_EVENTS = "SELECT seq, at, topic, sender, source FROM journal_events WHERE seq > $1 ORDER BY seq LIMIT $2"
_FIND = "SELECT id FROM peer WHERE timestamp = $1 AND name = $2 AND width = $3 AND category = $4"
_INSERT = "INSERT INTO peer (timestamp, name, width, category, scalar) VALUES ($1, $2, $3, $4, $5)"
_UPDATE = "UPDATE peer SET scalar = scalar + $2 WHERE id = $1"

STATISTICS: dict[str, Keys] = {
    "volume": lambda event: "",
    "category": lambda event: event["topic"].split(".")[0],
    "topic": lambda event: event["topic"],
    "sender": lambda event: event["sender"],
    "word": lambda event: event["topic"].split(".")[-1],
    "source": lambda event: event["source"],
    "sender and topic": lambda event: f"{event['sender']} {event['topic']}",
    "digit": lambda event: str(event["seq"] % 10),
    "tens": lambda event: str(event["seq"] // 10 % 10),
    "length": lambda event: str(len(event["topic"])),
}
"""Ten statistics of the same events. None of them reads a body, which favours the peer."""


async def count_as_the_original(database: DatabaseSettings, events: int) -> Inserted:
    """Counts the first events of a journal."""
    async with db.open_pool(database, max_size=1) as pool, pool.acquire() as connection:
        await connection.execute(_TABLE)
        position, started = 0, time.perf_counter()
        while position < events:
            page = await connection.fetch(_EVENTS, position, PAGE)
            for name, key in STATISTICS.items():
                await _count(connection, name, key, page)
            position = page[-1]["seq"]
        return Inserted(events, time.perf_counter() - started)


async def _count(connection: asyncpg.Connection, name: str, key: Keys, page: list[asyncpg.Record]) -> None:
    counts = Counter((_start(event["at"], width), width, key(event)) for event in page for width in WIDTHS)
    async with connection.transaction():
        for (start, width, category), count in counts.items():
            found = await connection.fetchval(_FIND, start, name, width, category)
            if found is None:
                await connection.execute(_INSERT, start, name, width, category, count)
            else:
                await connection.execute(_UPDATE, found, count)


def _start(at: datetime, width: int) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // width * width, at.tzinfo)
