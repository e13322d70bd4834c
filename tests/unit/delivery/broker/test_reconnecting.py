"""One publisher over many connections: every row arrives, and keeps its message id."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.evidence.digest import RowDigest, fingerprint, written
from promise_pub.delivery.ports import Shipment
from promise_pub.delivery.run.backoffs import BACKOFFS
from promise_pub.errors import (
    BrokerError,
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    QueueGone,
)
from promise_pub.records import Row
from promise_pub.retries import Backoff
from tests.fakes import FakeBroker, until
from tests.house import QUICK
from tests.virtual_time import VirtualTimeLoop

RUN = UUID("5d1b2a9e-0000-4000-8000-00000000000a")
NOW = datetime(2026, 11, 22, tzinfo=UTC)
REAL = BACKOFFS.broker


def people(count: int) -> list[Row]:
    return [Row(n, f"N{n}", f"{n}@x") for n in range(1, count + 1)]


class Desk:
    """A steady publisher on a fake broker with one queue."""

    def __init__(self, window: int = 8, backoff: Backoff = QUICK.broker) -> None:
        self.broker = FakeBroker(window)
        self.broker.queues["q"] = []
        self.reasons: list[str] = []
        self.shipment = Shipment(RUN, NOW, ConfirmTracker(), RowDigest())
        self.steady = ReconnectingPublisher(self.broker.open_publisher, self.shipment, self.reasons.append, backoff)

    @property
    def numbers(self) -> list[int]:
        return [int(m.message_id.rpartition(":")[2]) for m in self.broker.queues["q"]]


async def publish(desk: Desk, rows: list[Row], slice_size: int, losses: list[int]) -> None:
    """The n-th connection is lost after so many messages; the last one stays."""
    left = iter(losses)

    @asynccontextmanager
    async def connect(shipment: Shipment) -> Any:
        desk.broker.lose_after = next(left, None)
        async with desk.broker.open_publisher(shipment) as publisher:
            yield publisher

    desk.steady = ReconnectingPublisher(connect, desk.shipment, desk.reasons.append, QUICK.broker)
    async with desk.steady as steady:
        steady.route_to("q")
        for start in range(0, len(rows), slice_size):
            await steady.publish(rows[start : start + slice_size])
            kept = sum(len(piece) for piece in steady._kept)
            assert kept <= desk.broker.window + 2 * slice_size
        await steady.settle()


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 40),
    st.integers(1, 10),
    st.lists(st.integers(0, 12), max_size=6),
    st.integers(1, 12),
)
def test_every_row_arrives_however_often_the_connection_is_lost(
    count: int, slice_size: int, losses: list[int], window: int
) -> None:
    desk, rows = Desk(window), people(count)
    asyncio.run(publish(desk, rows, slice_size, losses))
    tracker = desk.shipment.tracker
    assert set(desk.numbers) == set(range(1, count + 1))
    assert (tracker.published, tracker.confirmed, tracker.in_flight) == (count, count, 0)
    assert tracker.resent >= len(desk.numbers) - count
    assert bool(desk.reasons) == bool(tracker.resent)
    messages = {m.message_id: m.body for m in desk.broker.queues["q"]}
    assert str(desk.shipment.digest) == written(
        sum(fingerprint(name.encode(), body) for name, body in messages.items())
    )


async def test_a_broker_that_is_away_at_first_fails_at_once() -> None:
    desk = Desk()
    desk.broker.away = BrokerUnreachable()
    with pytest.raises(BrokerUnreachable):
        async with desk.steady:
            raise AssertionError


async def test_a_broker_that_comes_back_is_waited_for() -> None:
    desk = Desk()
    async with desk.steady as steady:
        steady.route_to("q")
        await steady.publish(people(3))
        await steady.settle()
        desk.broker.away = BrokerUnreachable("not yet")
        desk.broker.cut()
        going = asyncio.create_task(steady.publish(people(30)[3:]))
        await asyncio.sleep(0.02)
        assert not going.done()
        desk.broker.away = None
        await asyncio.wait_for(going, 30)
        await steady.settle()
    assert set(desk.numbers) == set(range(1, 31))


async def test_one_that_stays_away_is_told_as_the_loss_that_it_was() -> None:
    desk = Desk(backoff=Backoff(0.005, 0.005, within=0.02))
    async with desk.steady as steady:
        steady.route_to("q")
        desk.broker.holding = True
        await steady.publish(people(3))
        desk.broker.away = BrokerUnreachable("not yet")
        desk.broker.cut()
        with pytest.raises(BrokerLost):
            await asyncio.wait_for(steady.settle(), 30)
        assert steady.tracker.in_flight == 3


async def test_a_broker_that_is_back_without_the_queue_is_told() -> None:
    desk = Desk()
    async with desk.steady as steady:
        steady.route_to("q")
        desk.broker.holding = True
        await steady.publish(people(3))
        del desk.broker.queues["q"]
        desk.broker.cut()
        with pytest.raises(QueueGone):
            await asyncio.wait_for(steady.settle(), 30)
        assert steady.tracker.waiting == [1, 2, 3] and not desk.reasons


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_at_any_moment_of_coming_back_it_can_still_settle(turns: int) -> None:
    desk = Desk()
    async with desk.steady as steady:
        steady.route_to("q")
        desk.broker.holding = True
        await steady.publish(people(3))
        desk.broker.cut()
        going = asyncio.create_task(steady.settle())
        for _ in range(turns):
            await asyncio.sleep(0)
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        desk.broker.holding = False
        await asyncio.wait_for(steady.settle(), 30)
        assert steady.tracker.confirmed == 3


async def test_nothing_on_its_way_needs_no_connection() -> None:
    desk = Desk()
    async with desk.steady as steady:
        steady.route_to("q")
    await asyncio.wait_for(steady.settle(), 30)
    with pytest.raises(BrokerLost):
        steady.route_to("q")


async def test_a_loss_that_nobody_waits_for_is_noticed_by_the_next_row() -> None:
    desk = Desk()
    async with desk.steady as steady:
        steady.route_to("q")
        await steady.publish(people(4))
        await until(lambda: not steady.tracker.in_flight)
        desk.broker.cut()
        await steady.publish(people(20)[4:])
        await steady.settle()
    assert set(desk.numbers) == set(range(1, 21)) and steady.confirmed_here == 20


class Flapping:
    """Takes every connection, and loses it `after` so many rows; a refusal takes its place after so many of them."""

    def __init__(self, after: int) -> None:
        self.desk = Desk()
        self.desk.broker.lose_after = after
        self.losses = 0
        self.hold = 0.0
        self.then: BrokerError | None = None
        self.then_after = 1 << 62
        self.desk.steady = ReconnectingPublisher(self.connect, self.desk.shipment, self.notice, REAL)

    @asynccontextmanager
    async def connect(self, shipment: Shipment) -> Any:
        if self.then and self.losses >= self.then_after:
            raise self.then
        async with self.desk.broker.open_publisher(shipment) as publisher:
            await asyncio.sleep(self.hold)
            yield publisher

    def notice(self, reason: str) -> None:
        self.losses += 1
        self.desk.reasons.append(reason)

    def publish(self, count: int) -> float:
        """How long it took. Raises what ended it."""

        async def work() -> float:
            async with self.desk.steady as steady:
                steady.route_to("q")
                await steady.publish(people(count))
                await steady.settle()
            return asyncio.get_running_loop().time()

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            self.loop = runner.get_loop()
            return runner.run(work())


@pytest.mark.parametrize("hold", [0.0, 20.0], ids=["lost at once", "lost after a while"])
def test_a_broker_that_takes_connections_and_confirms_nothing_is_given_up(hold: float) -> None:
    broker = Flapping(after=0)
    broker.hold = hold
    with pytest.raises(BrokerLost, match="0 of 3 published rows had been confirmed"):
        broker.publish(3)
    assert broker.loop.time() <= REAL.within + REAL.longest + 2 * hold
    assert broker.losses < 100


def test_a_broker_that_confirms_a_row_on_each_connection_is_not_given_up() -> None:
    broker = Flapping(after=1)
    broker.hold = 50.0
    assert broker.publish(30) > 5 * REAL.within
    assert set(broker.desk.numbers) == set(range(1, 31))


def test_a_refusal_after_a_loss_ends_it_in_the_brokers_words() -> None:
    broker = Flapping(after=1)
    broker.then, broker.then_after = BrokerRefused("ACCESS_REFUSED"), 3
    with pytest.raises(BrokerRefused, match="ACCESS_REFUSED"):
        broker.publish(30)
    assert broker.losses == 3


def test_a_limit_that_lasts_ends_it_in_the_brokers_words_when_patience_is_over() -> None:
    broker = Flapping(after=1)
    broker.then, broker.then_after = BrokerRefused("connection limit", passes=True), 1
    with pytest.raises(BrokerRefused, match="connection limit"):
        broker.publish(30)
    assert REAL.within <= broker.loop.time() <= REAL.within + REAL.longest


def test_one_that_stays_away_is_told_with_its_last_words() -> None:
    broker = Flapping(after=1)
    broker.then, broker.then_after = BrokerUnreachable("Connection refused."), 1
    with pytest.raises(BrokerLost, match=r"lost: 2 of \d+ published .*Since then: Connection refused\."):
        broker.publish(30)
