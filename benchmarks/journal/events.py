"""The events that are measured: JSON of 300 bytes with an id and a few headers, of 20 topics, over one day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from pamqp.commands import Basic

from benchmarks.services import NotMeasured
from promise_pub import db
from promise_pub.amqp.connection import connect
from promise_pub.consumer.broker import Broker
from promise_pub.features.journal.bus.topology import declare_bus
from promise_pub.features.journal.settings import BusSettings
from promise_pub.settings.model import DatabaseSettings, RabbitSettings

BODY_BYTES, TOPICS = 300, 20
_DAY = timedelta(days=1)
_AT_ONCE = 1000  # events whose confirms are waited for together
_FILL_TIMEOUT = 3600  # seconds

_FILL = """
    WITH added AS (
        INSERT INTO journal_events (seq, key, source, at, received_at, topic, sender, message_id, content_type, headers, body)
        SELECT n, gen_random_uuid(), 'bus', now() - $4::interval * (1 - n / $1::float8),
               now() - $4::interval * (1 - n / $1::float8), 'bench.topic' || n % $2::integer, 'bench', 'bench-' || n,
               'application/json', '{"at": "2026-11-30T12:00:00Z", "subject-kind": "order"}',
               convert_to(rpad('{"number": ' || n || ', "text": "', $3::integer - 2, 'x') || '"}', 'UTF8')
        FROM generate_series(1, $1::bigint) AS n
        RETURNING 1
    )
    UPDATE journal_head SET seq = (SELECT count(*) FROM added), received_at = now()
"""


@asynccontextmanager
async def filled_bus(rabbit: RabbitSettings, count: int) -> AsyncIterator[BusSettings]:
    """Yields a bus whose queue holds that many events. Raises NotMeasured unless all were taken and acknowledged."""
    name = f"bench-{uuid4()}"
    bus, broker = BusSettings(enabled=True, exchange=name, queue=name, publish=False), Broker(rabbit)
    await declare_bus(rabbit, bus)
    try:
        await _publish(rabbit, bus, count)
        yield bus
        if left := await broker.count_ready(name):
            raise NotMeasured(f"{left:,} events of {count:,} were not acknowledged.")
    finally:
        await broker.delete(name)


async def _publish(rabbit: RabbitSettings, bus: BusSettings, count: int) -> None:
    begun = datetime.now(UTC) - _DAY
    async with connect(rabbit) as connection:
        channel = await connection.channel(publisher_confirms=True)
        for first in range(0, count, _AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for number in range(first, min(first + _AT_ONCE, count)):
                    group.create_task(
                        channel.basic_publish(
                            _body(number),
                            exchange=bus.exchange,
                            routing_key=f"bench.topic{number % TOPICS}",
                            properties=_properties(number, begun + _DAY * (number / count)),
                        )
                    )
    if (held := await Broker(rabbit).count_ready(bus.queue)) != count:
        raise NotMeasured(f"The queue holds {held:,} events, not {count:,}.")


def _body(number: int) -> bytes:
    start = f'{{"number": {number}, "text": "'
    return f'{start:x<{BODY_BYTES - 2}}"}}'.encode()


def _properties(number: int, at: datetime) -> Basic.Properties:
    return Basic.Properties(
        content_type="application/json",
        delivery_mode=2,
        app_id="bench",
        message_id=f"bench-{number}",
        headers={"at": at.isoformat(), "subject": f"order {number // 10}", "host": "bench-1", "attempt": 1},
    )


async def fill_journal(database: DatabaseSettings, count: int, a_day: int | None = None) -> None:
    """Inserts that many events of the bus, evenly over the day before now, or so that a day would have so many. Their indexes are made at the end: that is sooner."""
    span = _DAY * count / a_day if a_day else _DAY
    async with db.open_pool(database, max_size=1) as pool:
        await pool.execute("UPDATE pg_index SET indisready = false WHERE indrelid = 'journal_events'::regclass")
        await pool.execute(_FILL, count, TOPICS, BODY_BYTES, span, timeout=_FILL_TIMEOUT)
        # Which makes them ready again.
        await pool.execute("REINDEX TABLE journal_events", timeout=_FILL_TIMEOUT)
        await pool.execute("VACUUM (ANALYZE) journal_events", timeout=_FILL_TIMEOUT)
