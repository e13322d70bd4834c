"""Our publisher at a real broker that refuses: it ends at once, in the broker's words, and is not taken for a loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from promise_pub.amqp.connection import probe
from promise_pub.consumer.broker import Broker
from promise_pub.delivery.broker.rabbit import open_publisher
from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.evidence.digest import RowDigest
from promise_pub.delivery.ports import Publisher, Shipment
from promise_pub.delivery.run.backoffs import BACKOFFS
from promise_pub.errors import BrokerRefused
from promise_pub.settings.model import RabbitSettings
from tests.contract.test_publishers import RUN, STARTED, Real, people, real_broker
from tests.fakes import until
from tests.services import BrokerUnderTest

WITHIN = 30.0  # seconds; a test waits no longer for what takes a fraction of one
TO_OTHERS = "^there-is-none$"  # a pattern of what may be written to, and the default exchange is not


class Desk:
    """A steady publisher of one user's, over a proxy, to a queue of its own; its connections are counted."""

    def __init__(self, broker: Real, queue: str) -> None:
        self.broker = broker
        self.queue = queue
        self.connections = 0
        self.reasons: list[str] = []

    def as_user(self, user: RabbitSettings) -> ReconnectingPublisher:
        settings = replace(user, host="127.0.0.1", port=self.broker.proxy.port)

        @asynccontextmanager
        async def opened(shipment: Shipment) -> AsyncIterator[Publisher]:
            self.connections += 1
            async with open_publisher(settings, shipment) as publisher:
                yield publisher

        shipment = Shipment(RUN, STARTED, ConfirmTracker(), RowDigest())
        return ReconnectingPublisher(opened, shipment, self.reasons.append, BACKOFFS.broker)

    async def publish(self, steady: ReconnectingPublisher, first: int = 1) -> None:
        steady.route_to(self.queue)
        await steady.publish(people(300, first))
        await steady.settle()


@pytest.fixture
async def desk(rabbit: RabbitSettings) -> AsyncIterator[Desk]:
    async with real_broker(Real, rabbit) as broker:
        queue = f"test-refusals-{uuid4()}"
        await broker.declare(queue)
        yield Desk(broker, queue)
        await broker.delete(queue)


async def test_a_user_who_may_not_publish_is_told_so_on_the_first_connection(
    desk: Desk, broker_node: BrokerUnderTest
) -> None:
    steady = desk.as_user(await broker_node.add_user(write=TO_OTHERS))
    with pytest.raises(BrokerRefused, match="ACCESS_REFUSED - access to exchange 'amq.default'"):
        async with asyncio.timeout(WITHIN), steady:
            await desk.publish(steady)
    assert desk.connections == 1 and not desk.reasons
    assert steady.tracker.confirmed == 0


async def test_a_message_that_is_too_large_is_told_so(desk: Desk, broker_node: BrokerUnderTest) -> None:
    steady = desk.as_user(await broker_node.add_user())
    limit = "application:{}_env(rabbit, max_message_size{})."
    before = await broker_node.control(limit.format("get", ", 134217728"))
    await broker_node.control(limit.format("set", ", 10"))
    try:
        with pytest.raises(BrokerRefused, match="is larger than configured max size 10"):
            async with asyncio.timeout(WITHIN), steady:
                await desk.publish(steady)
    finally:
        await broker_node.control(limit.format("set", f", {before}"))
    assert desk.connections == 1


async def test_one_channel_is_enough_also_when_its_connection_is_lost(desk: Desk, broker_node: BrokerUnderTest) -> None:
    user = await broker_node.add_user()
    await broker_node.limit(user, "max-channels", 1)
    steady = desk.as_user(user)
    async with asyncio.timeout(WITHIN), steady:
        await desk.publish(steady)
        await steady.check_queue()
        desk.broker.proxy.cut()
        await desk.publish(steady, first=301)
    assert steady.tracker.confirmed == 600 and desk.connections >= 2


@pytest.mark.parametrize(
    ("what", "words"),
    [("max-channels", "number of channels opened"), ("max-connections", "connection limit")],
)
async def test_a_limit_that_leaves_no_room_is_told_so(
    desk: Desk, broker_node: BrokerUnderTest, what: str, words: str
) -> None:
    user = await broker_node.add_user()
    await broker_node.limit(user, what, 0)
    with pytest.raises(BrokerRefused, match=f"NOT_ALLOWED - .*{words}"):
        async with asyncio.timeout(WITHIN), desk.as_user(user):
            raise AssertionError("it was let in")
    assert desk.connections == 1


@pytest.mark.parametrize("what", ["max-channels", "max-connections"])
async def test_a_limit_after_a_loss_is_waited_for(desk: Desk, broker_node: BrokerUnderTest, what: str) -> None:
    """The broker may count the dead connection until it has missed its heartbeats."""
    user = await broker_node.add_user()
    steady = desk.as_user(user)
    async with asyncio.timeout(WITHIN), steady:
        await desk.publish(steady)
        await broker_node.limit(user, what, 0)
        desk.broker.proxy.cut()
        publishing = asyncio.create_task(desk.publish(steady, first=301))
        await until(lambda: desk.connections > 3, WITHIN)
        assert not publishing.done()
        await broker_node.limit(user, what, 10)
        await publishing
    assert steady.tracker.confirmed == 600


async def test_a_user_who_is_gone_when_the_connection_is_lost_is_told_so(
    desk: Desk, broker_node: BrokerUnderTest
) -> None:
    user = await broker_node.add_user()
    steady = desk.as_user(user)
    async with asyncio.timeout(WITHIN), steady:
        await desk.publish(steady)
        await broker_node.control(f'rabbit_auth_backend_internal:delete_user(<<"{user.user}">>, <<"tests">>).')
        desk.broker.proxy.cut()
        with pytest.raises(BrokerRefused, match="ACCESS_REFUSED"):
            await desk.publish(steady, first=301)
        with pytest.raises(BrokerRefused):
            await steady.settle()
    assert desk.connections <= 3


async def test_rows_over_a_policys_length_are_nacked_and_no_refusal(desk: Desk, broker_node: BrokerUnderTest) -> None:
    steady = desk.as_user(await broker_node.add_user())
    await broker_node.control(
        f'rabbit_policy:set(<<"/">>, <<"short">>, <<"^{desk.queue}$">>, [{{<<"max-length">>, 10}}, '
        '{<<"overflow">>, <<"reject-publish">>}], 0, <<"all">>, <<"tests">>).'
    )
    try:
        async with asyncio.timeout(WITHIN), steady:
            await desk.publish(steady)
    finally:
        await broker_node.control('rabbit_policy:delete(<<"/">>, <<"short">>, <<"tests">>).')
    assert steady.tracker.in_flight == 0 and len(steady.tracker.nacked) > 0


def nothing(*_: object) -> None:
    """Neither deliveries nor changes are wanted."""


READERS: dict[str, Callable[[Broker, str], object]] = {
    "declares": lambda broker, queue: broker.declare(queue),
    "deletes": lambda broker, queue: broker.delete(queue),
}


@pytest.mark.parametrize("call", READERS)
async def test_a_consumer_without_the_right_to_its_queue_is_told_so(
    desk: Desk, broker_node: BrokerUnderTest, call: str
) -> None:
    user = await broker_node.add_user()
    await broker_node.control(
        f'rabbit_auth_backend_internal:set_permissions(<<"{user.user}">>, <<"/">>, <<"^$">>, <<"^$">>, <<"^$">>, '
        '<<"tests">>).'
    )
    with pytest.raises(BrokerRefused, match="ACCESS_REFUSED"):
        async with asyncio.timeout(WITHIN):
            await READERS[call](Broker(user), desk.queue)  # type: ignore[misc]
    with pytest.raises(BrokerRefused, match="ACCESS_REFUSED"):
        async with (
            asyncio.timeout(WITHIN),
            Broker(user).read(desk.queue, nothing, nothing),
        ):
            raise AssertionError("it reads")


async def test_a_probe_tells_a_limit_from_a_lasting_refusal(broker_node: BrokerUnderTest) -> None:
    user = await broker_node.add_user()
    await broker_node.limit(user, "max-connections", 0)
    with pytest.raises(BrokerRefused) as limited:
        await probe(user)
    with pytest.raises(BrokerRefused) as refused:
        await probe(replace(user, password="wrong"))
    assert limited.value.passes and not refused.value.passes
