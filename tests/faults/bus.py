"""Somebody else on the bus, who sends and listens, and the journal as it is looked at from outside.

Nothing here asks promise-pub how it tells events apart, numbers or dates them: what was sent is known from its making.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aio_pika
import aiormq.exceptions

from tests.faults.checker import Outcome
from tests.faults.parts import PATIENCE
from tests.faults.world import POLL, QUEUE, World

EXCHANGE = "promise-pub.events"
CONFIRMED = 10.0  # seconds for confirms, after which messages are sent again
DENSE = "dense"  # of a journal whose numbers have no holes, and whose times of arrival never fall
AHEAD = timedelta(minutes=5)  # by which a sender's time may be later than that of arrival

_TAKEN = """
SELECT message_id, topic, at, received_at, body FROM journal_events WHERE source = 'bus' AND sender = $1 ORDER BY seq
"""
_NUMBERS = """
SELECT count(*) = coalesce(max(seq), 0) AND count(*) = max(head) AND bool_and(seq = n) AS dense,
       bool_and(received_at >= before) AS rises
FROM (
    SELECT e.seq, e.received_at, h.seq AS head, row_number() OVER (ORDER BY e.seq) AS n,
           lag(e.received_at, 1, '-infinity') OVER (ORDER BY e.seq) AS before
    FROM journal_events AS e, journal_head AS h
) AS event
"""
_AT_REST = "SELECT published = seq AND NOT EXISTS (SELECT FROM outbox) AS at_rest FROM journal_head"


class Events:
    """Events of a sender of its own, shuffled: one in twenty is sent twice, some happened hours ago, some in an hour.

    Their bodies are a little longer than `size` bytes.
    """

    def __init__(self, count: int, size: int = 300, chance: random.Random | None = None) -> None:
        chance = chance or random.Random(count)
        self.sender = uuid4().hex[:12]
        self._filling = "x" * size
        now = datetime.now(UTC)
        self.at = {f"{self.sender}:{n}": now + _apart(chance) for n in range(count)}
        """The moment of each, by its message id."""
        self.sent = [*self.at, *chance.sample([*self.at], count // 20)]
        chance.shuffle(self.sent)

    def split(self, parts: int) -> list[list[str]]:
        """Returns the ids in the order in which they are sent, in so many parts."""
        return [self.sent[n * len(self.sent) // parts : (n + 1) * len(self.sent) // parts] for n in range(parts)]

    def topic(self, message_id: str) -> str:
        return f"others.topic-{message_id[-1]}"

    def body(self, message_id: str) -> bytes:
        return f'{{"id": "{message_id}", "filling": "{self._filling}"}}'.encode()

    def message(self, message_id: str) -> aio_pika.Message:
        return aio_pika.Message(
            self.body(message_id),
            message_id=message_id,
            app_id=self.sender,
            headers={"at": self.at[message_id].isoformat()},
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )


def _apart(chance: random.Random) -> timedelta:
    kind = chance.random()
    if kind < 0.02:
        return -timedelta(hours=chance.randint(1, 48))
    return timedelta(hours=1) if kind < 0.03 else timedelta(seconds=chance.uniform(-600, 0))


@asynccontextmanager
async def channel(world: World) -> AsyncIterator[Any]:
    """A channel to the broker, past every line. What has no queue to go to is an error."""
    broker = world.broker.settings
    connection = await aio_pika.connect(
        host=broker.host, port=broker.port, login=broker.user, password=broker.password, timeout=CONFIRMED
    )
    async with connection:
        yield await connection.channel(on_return_raises=True)


async def publish(world: World, events: Events, ids: Sequence[str], piece: int = 100, pause: float = 0.0) -> None:
    """Publishes events until each is confirmed, whatever becomes of the broker meanwhile.

    The confirms of a piece are waited for together, with a pause after it.
    """
    waiting = [*ids]
    async with asyncio.timeout(PATIENCE + len(ids) / piece * pause):
        while waiting:
            try:
                async with channel(world) as opened:
                    exchange = await opened.get_exchange(EXCHANGE)
                    while waiting:
                        await _publish_piece(exchange, events, waiting[:piece])
                        del waiting[:piece]
                        await asyncio.sleep(pause)
            except (aiormq.exceptions.AMQPError, OSError, RuntimeError):
                await asyncio.sleep(POLL)


async def _publish_piece(exchange: Any, events: Events, ids: Sequence[str]) -> None:
    async with asyncio.timeout(CONFIRMED):
        sent = (exchange.publish(events.message(one), events.topic(one)) for one in ids)
        await asyncio.gather(*sent)


class Listener:
    """A queue on the exchange that gets promise-pub's own events, and keeps them whoever is killed."""

    def __init__(self, world: World) -> None:
        self.queue = f"listener-{uuid4().hex[:12]}"
        self._world = world
        self._heard: Counter[str] = Counter()

    async def heard(self) -> Counter[str]:
        """Returns how often each message id has come."""
        async with channel(self._world) as opened:
            queue = await opened.get_queue(self.queue)
            while message := await queue.get(no_ack=True, fail=False):
                self._heard[message.message_id] += 1
        return self._heard

    async def until_heard(self, message_id: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while not (await self.heard())[message_id]:  # noqa: ASYNC110  it is in other processes
                await asyncio.sleep(POLL)


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[Listener]:
    listener = Listener(world)
    async with channel(world) as opened:
        queue = await opened.declare_queue(listener.queue, durable=True)
        await queue.bind(EXCHANGE, "promise-pub.#")
    yield listener
    async with channel(world) as opened:
        await opened.queue_delete(listener.queue)


async def at_rest(world: World) -> None:
    """Waits until every event is where it belongs: nothing in the queue or the outbox, own events on the bus."""
    left: dict[str, Any] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                (journal,) = await world.database.fetch(_AT_REST)
                queued = (await world.broker.messages()).get(QUEUE)
                if journal["at_rest"] and queued == 0:
                    return
                left = {"journal": dict(journal), "queued": queued}
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"still on its way: {left}\n{world.server.output}") from None


async def look_at_journal(world: World, events: Events) -> Outcome:
    """Returns what became of events. The journal must be right, whatever became of them."""
    await at_rest(world)
    rows = await world.database.fetch(_TAKEN, events.sender)
    assert {row["message_id"] for row in rows} <= events.at.keys()
    wrong = [row["message_id"] for row in rows if not _as_sent(row, events)]
    assert not wrong, wrong[:5]
    (numbers,) = await world.database.fetch(_NUMBERS)
    assert numbers["dense"] and numbers["rises"], dict(numbers)
    found = Counter(row["message_id"] for row in rows)
    return Outcome(len(events.at), len(events.at) - len(found), len(rows) - len(found), 0, DENSE)


def _as_sent(row: Any, events: Events) -> bool:
    sent = events.at[row["message_id"]]
    at = sent if sent <= row["received_at"] + AHEAD else row["received_at"]
    same = (row["topic"], bytes(row["body"])) == (events.topic(row["message_id"]), events.body(row["message_id"]))
    return same and row["at"] == at
