"""The publisher that outlives its connections, on a real broker whose line is cut and is whole again."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from promise_pub.delivery.broker.rabbit import open_publisher
from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.evidence.digest import RowDigest, fingerprint, written
from promise_pub.delivery.ports import Publisher, Shipment
from promise_pub.delivery.run.backoffs import BACKOFFS
from promise_pub.errors import QueueGone
from promise_pub.records import Row
from promise_pub.settings.model import RabbitSettings
from tests.tcp_proxy import Proxy, proxy_to

RUN = uuid.UUID("3c0fb1f5-7dd2-4f2f-9d0c-6b0b8b6a8f11")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PIECE = 64  # rows; fewer than the window, so that publishing a piece waits for no confirm
ROWS = [Row(number, f"N{number}", f"{number}@x") for number in range(1, 1601)]


class Line:
    """A steady publisher behind a proxy, and a channel to the broker beside it."""

    def __init__(self, settings: RabbitSettings, proxy: Proxy, channel: AbstractChannel) -> None:
        self.queue = f"steady-{uuid.uuid4().hex}"
        self.proxy = proxy
        self.channel = channel
        self.reasons: list[str] = []
        self._settings = replace(settings, host="127.0.0.1", port=proxy.port, window=4 * PIECE)
        self.shipment = Shipment(RUN, NOW, ConfirmTracker(), RowDigest())
        self.steady = ReconnectingPublisher(self._connect, self.shipment, self.reasons.append, BACKOFFS.broker)

    @asynccontextmanager
    async def _connect(self, shipment: Shipment) -> AsyncIterator[Publisher]:
        self.proxy.cut_after = None  # whole again
        async with open_publisher(self._settings, shipment) as publisher:
            yield publisher

    async def publish(self, cuts: dict[int, str]) -> None:
        """Every row. At some pieces the line is cut: with the piece on it, or just behind it."""
        async with asyncio.timeout(60), self.steady:
            self.steady.route_to(self.queue)
            for piece in range(len(ROWS) // PIECE):
                if cuts.get(piece) == "before the broker has it":
                    self.proxy.cut_after = 0
                await self.steady.publish(ROWS[piece * PIECE : (piece + 1) * PIECE])
                if cuts.get(piece) == "before its confirms":
                    self.proxy.cut()
            await self.steady.settle()

    async def held(self) -> dict[str, list[bytes]]:
        """The bodies in the queue, by message id."""
        found: dict[str, list[bytes]] = {}
        queue = await self.channel.get_queue(self.queue)
        while message := await queue.get(no_ack=True, fail=False):
            found.setdefault(message.message_id or "", []).append(message.body)
        return found


@pytest.fixture
async def line(rabbit: RabbitSettings) -> AsyncIterator[Line]:
    async with (
        proxy_to(rabbit.host, rabbit.port) as proxy,
        await aio_pika.connect(
            host=rabbit.host, port=rabbit.port, login=rabbit.user, password=rabbit.password
        ) as connection,
    ):
        line = Line(rabbit, proxy, await connection.channel())
        arguments: dict[str, Any] = {"x-expires": 120_000}
        await line.channel.declare_queue(line.queue, durable=True, arguments=arguments)
        yield line


@pytest.mark.parametrize(
    "cuts",
    [
        {12: "before the broker has it"},
        {12: "before its confirms"},
        {0: "before the broker has it", 1: "before its confirms", 24: "before the broker has it"},
        dict.fromkeys(range(3, 20, 2), "before the broker has it"),
    ],
    ids=["on its way", "without confirms", "at both ends", "again and again"],
)
async def test_every_row_arrives_as_it_is_however_often_the_line_is_cut(line: Line, cuts: dict[int, str]) -> None:
    await line.publish(cuts)
    held = await line.held()
    assert Counter(held.keys()) == Counter(f"{RUN}:{row.number}" for row in ROWS)
    assert all(len(set(bodies)) == 1 for bodies in held.values())
    tracker = line.shipment.tracker
    assert (tracker.published, tracker.confirmed, tracker.in_flight) == (len(ROWS), len(ROWS), 0)
    assert not tracker.returned and not tracker.nacked
    twice = sum(len(bodies) - 1 for bodies in held.values())
    lost = PIECE * sum(cut == "before the broker has it" for cut in cuts.values())
    assert tracker.resent >= max(twice, lost)
    assert bool(line.reasons) == bool(tracker.resent)
    rows = [fingerprint(message_id.encode(), bodies[0]) for message_id, bodies in held.items()]
    assert line.steady.digest == written(sum(rows))


async def test_a_queue_that_is_gone_when_the_line_is_whole_again_is_told(line: Line) -> None:
    async with asyncio.timeout(60), line.steady:
        line.steady.route_to(line.queue)
        await line.steady.publish(ROWS[:PIECE])
        await line.steady.settle()
        await line.channel.queue_delete(line.queue)
        line.proxy.cut_after = 0
        with pytest.raises(QueueGone):
            await line.steady.publish(ROWS[PIECE : 2 * PIECE])
            await line.steady.settle()
    tracker = line.shipment.tracker
    assert (tracker.published, tracker.confirmed) == (2 * PIECE, PIECE)
    assert tracker.in_flight == PIECE and not line.reasons
