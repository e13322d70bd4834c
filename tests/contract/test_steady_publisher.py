"""Our publishers on a real broker whose connections are cut, blocked and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest
from pamqp import commands
from pamqp import frame as pamqp_frame

from promise_pub.delivery.broker.rabbit import open_publisher
from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.evidence.confirms import ConfirmTracker, Settled
from promise_pub.delivery.evidence.digest import RowDigest, fingerprint, written
from promise_pub.delivery.ports import Shipment
from promise_pub.delivery.run.backoffs import BACKOFFS
from promise_pub.errors import BrokerLost, QueueGone
from promise_pub.retries import Backoff
from promise_pub.settings.model import RabbitSettings
from tests.contract.test_publishers import RUN, STARTED, Real, numbers, people, real_broker
from tests.fakes import Message, until

WITHIN = 30.0  # seconds; a test waits no longer for what takes a fraction of one
ROWS = people(6000)


@pytest.fixture
async def broker(rabbit: RabbitSettings) -> AsyncIterator[Real]:
    async with real_broker(Real, rabbit) as made:
        yield made


class Desk:
    """A steady publisher, over the proxy, to a queue of its own."""

    def __init__(
        self, broker: Real, queue: str, settled: Settled | None = None, backoff: Backoff = BACKOFFS.broker
    ) -> None:
        self.reasons: list[str] = []
        chosen = replace(broker.settings, window=256)
        self.shipment = Shipment(RUN, STARTED, ConfirmTracker(settled), RowDigest())
        self.steady = ReconnectingPublisher(
            partial(open_publisher, chosen), self.shipment, self.reasons.append, backoff
        )
        self.queue = queue

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ReconnectingPublisher]:
        async with asyncio.timeout(WITHIN), self.steady as steady:
            steady.route_to(self.queue)
            yield steady


@pytest.fixture
async def desk(broker: Real) -> AsyncIterator[Desk]:
    name = f"test-steady-{uuid4()}"
    await broker.declare(name)
    yield Desk(broker, name)
    await broker.channel.queue_delete(name)


async def cut_at(broker: Real, tracker: ConfirmTracker, moments: Iterable[int]) -> None:
    """Cuts every connection each time so many rows are confirmed."""
    for confirmed in moments:
        while tracker.confirmed < confirmed:  # noqa: ASYNC110
            await asyncio.sleep(0)
        broker.proxy.cut()


def first_of_each(messages: list[Message]) -> list[int]:
    return [*dict.fromkeys(numbers(messages))]


def digest_of(messages: list[Message]) -> str:
    distinct = {message.message_id.encode(): message.body for message in messages}
    return written(sum(fingerprint(*one) for one in distinct.items()))


@pytest.mark.parametrize("moments", [[1], [700, 1500, 1501, 4000], range(300, 6000, 700)], ids=str)
async def test_connections_that_are_cut_cost_no_row(broker: Real, desk: Desk, moments: Iterable[int]) -> None:
    async with desk.open() as steady:
        cutting = asyncio.create_task(cut_at(broker, steady.tracker, moments))
        for start in range(0, len(ROWS), 500):
            await steady.publish(ROWS[start : start + 500])
        await steady.settle()
        cutting.cancel()
        tracker = steady.tracker
        assert (tracker.confirmed, tracker.in_flight, tracker.waiting) == (6000, 0, [])
    messages = await broker.read(desk.queue)
    assert first_of_each(messages) == [row.number for row in ROWS], "not in order"
    assert len(messages) - len(ROWS) <= tracker.resent
    assert digest_of(messages) == steady.digest
    assert bool(tracker.resent) <= bool(desk.reasons)


@pytest.mark.parametrize("size", [9, 130, 2000, 65_000])
async def test_a_connection_that_is_cut_in_the_middle_of_a_frame_costs_no_row(
    broker: Real, desk: Desk, size: int
) -> None:
    """After so many bytes of the rows, wherever that is, and again when that happens."""
    proxy = broker.proxy
    async with desk.open() as steady:
        await steady.publish(ROWS[:1])
        await steady.settle()
        proxy.cut_in(size)

        async def mend() -> None:
            await until(lambda: proxy.forwarded >= (proxy.cut_after or 0), WITHIN)
            proxy.cut_after = None

        mending = asyncio.create_task(mend())
        await steady.publish(ROWS[1:1000])
        await steady.settle()
        await mending
    messages = await broker.read(desk.queue)
    assert first_of_each(messages) == [row.number for row in ROWS[:1000]]
    assert digest_of(messages) == steady.digest


async def test_what_was_settled_before_is_taken_up_and_not_sent(broker: Real, desk: Desk) -> None:
    """As a run does that is resumed: rows 1 to 400 are known, 450 were published."""
    desk = Desk(broker, desk.queue, Settled(through=400, confirmed=400, published=450))
    async with desk.open() as steady:
        await steady.publish(ROWS[400:600])
        await steady.settle()
    assert numbers(await broker.read(desk.queue)) == [*range(401, 601)]
    assert (steady.tracker.confirmed, steady.tracker.resent) == (600, 50)


async def test_a_queue_that_is_gone_when_the_connection_is_back_is_told(broker: Real, desk: Desk) -> None:
    async with desk.open() as steady:
        await steady.publish(ROWS[:500])
        await steady.settle()
        await steady.check_queue()
        await broker.delete(desk.queue)
        broker.proxy.cut()
        with pytest.raises(QueueGone, match=desk.queue):
            await steady.publish(ROWS[500:1000])
        with pytest.raises(QueueGone):
            await steady.publish(ROWS[1000:])
        assert steady.tracker.confirmed == 500 and not steady.tracker.returned


async def test_a_broker_that_stays_away_is_given_up(broker: Real, desk: Desk) -> None:
    impatient = Desk(broker, desk.queue, backoff=replace(BACKOFFS.broker, within=0.3))
    async with impatient.open() as steady:
        await steady.publish(ROWS[:500])
        await steady.settle()
        broker.proxy.cut_after = 0  # from now on every connection
        broker.proxy.cut()
        with pytest.raises(BrokerLost):
            await steady.publish(ROWS[500:1000])
        assert steady.tracker.published - steady.tracker.confirmed == steady.tracker.in_flight


class Relay:
    """Passes everything on, and says things in the broker's name while nothing else is said."""

    def __init__(self, settings: RabbitSettings) -> None:
        self._settings = settings
        self._client: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._client = writer
        there, back = await asyncio.open_connection(self._settings.host, self._settings.port)
        await asyncio.gather(_pass(reader, back), _pass(there, writer), return_exceptions=True)

    def say(self, method: commands.Connection.Blocked | commands.Connection.Unblocked) -> None:
        assert self._client
        self._client.write(pamqp_frame.marshal(method, 0))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()


async def within_a_second(condition: Callable[[], object]) -> None:
    """As many looks as fit into one: for how long the machine stands still meanwhile does not count."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError


async def test_an_alarm_of_the_broker_shows_within_a_second_and_its_end_as_well(
    broker: Real, desk: Desk, rabbit: RabbitSettings
) -> None:
    relay = Relay(rabbit)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    broker.settings = replace(rabbit, port=server.sockets[0].getsockname()[1])
    desk = Desk(broker, desk.queue)
    async with server, desk.open() as steady:
        await steady.publish(ROWS[:100])
        await steady.settle()
        for _ in range(3):
            assert not steady.blocked
            relay.say(commands.Connection.Blocked(reason="low on memory"))
            await within_a_second(lambda: steady.blocked)
            relay.say(commands.Connection.Unblocked())
            await within_a_second(lambda: not steady.blocked)
        await steady.publish(ROWS[100:300])
        await steady.settle()
    assert numbers(await broker.read(desk.queue)) == [*range(1, 301)]
    assert steady.tracker.resent == 0 and not desk.reasons
