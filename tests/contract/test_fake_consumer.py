"""The fake consumer keeps what `ports.Consumer` promises; `test_consumers.py` holds the real ones to the same over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.evidence.digest import RowDigest
from promise_pub.delivery.ports import Consumer, Shipment
from promise_pub.errors import ConsumerComplaint, ConsumerError, ConsumerTimeout
from promise_pub.parameters import Mode
from promise_pub.records import Row, SessionView
from tests.fakes import FakeBroker, FakeConsumer, FakeLedger


def ignore(_: SessionView) -> None:
    """Nobody watches."""


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
async def consumer(broker: FakeBroker) -> AsyncIterator[FakeConsumer]:
    consumer = FakeConsumer(broker, FakeLedger())
    meets: Consumer = consumer  # which mypy checks
    assert meets
    yield consumer


async def publish(broker: FakeBroker, queue: str, *mails: str) -> None:
    async with broker.open_publisher(Shipment(uuid4(), datetime.now(UTC), ConfirmTracker(), RowDigest())) as publisher:
        publisher.route_to(queue)
        await publisher.publish([Row(n, "n", mail) for n, mail in enumerate(mails, 1)])
        await publisher.settle()


async def test_create_declares_a_queue_named_as_the_session(consumer: FakeConsumer, broker: FakeBroker) -> None:
    first, second = await consumer.create(), await consumer.create()
    assert first.uuid != second.uuid
    assert set(broker.queues) == {first.uuid, second.uuid}
    assert (first.received, first.saved) == (0, 0)


@pytest.mark.parametrize("mode", Mode)
async def test_every_row_is_received_and_each_mail_saved_once(
    consumer: FakeConsumer, broker: FakeBroker, mode: Mode
) -> None:
    session = await consumer.create()
    seen: list[SessionView] = []
    if mode is Mode.LIVE:
        await consumer.process(session.uuid, mode, 5, None, seen.append)
    await publish(broker, session.uuid, "a", "b", "a")
    if mode is Mode.BATCH:
        await consumer.process(session.uuid, mode, 5, 3, seen.append)
        assert (seen[-1].received, seen[-1].saved) == (3, 2)
    final = await consumer.remove(session.uuid, 5, 3, ignore)
    assert (final.uuid, final.received, final.saved) == (session.uuid, 3, 2)
    assert session.uuid not in broker.queues


async def test_a_session_that_is_not_there_is_complained_about(consumer: FakeConsumer) -> None:
    session = await consumer.create()
    await consumer.remove(session.uuid, 5, 0, ignore)
    with pytest.raises(ConsumerComplaint):
        await consumer.remove(session.uuid, 5, 0, ignore)
    with pytest.raises(ConsumerComplaint):
        await consumer.process(session.uuid, Mode.BATCH, 5, 0, ignore)


async def test_abandon_ends_a_session_and_never_raises(consumer: FakeConsumer, broker: FakeBroker) -> None:
    session = await consumer.create()
    assert await consumer.abandon(session.uuid, 0, ignore, 4.0) is True
    assert not broker.queues
    assert await consumer.abandon(session.uuid, 0, ignore, 4.0) is False


async def test_what_a_test_wants_to_go_wrong_does(consumer: FakeConsumer) -> None:
    consumer.fail["create"] = ConsumerTimeout()
    with pytest.raises(ConsumerError):
        await consumer.create()
    consumer.fail.clear()
    session = await consumer.create()
    consumer.hang.add("remove")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(consumer.remove(session.uuid, 5, 0, ignore), 0.02)
