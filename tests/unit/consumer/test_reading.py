"""The bundled consumer reads on after losses as long as messages come, and stops at once where it is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from promise_pub.consumer.reading import Reading
from promise_pub.consumer.saver import OUTAGE, Saved
from promise_pub.consumer.session import ConsumerSession
from promise_pub.errors import (
    BrokerError,
    BrokerLost,
    BrokerRefused,
    DatabaseError,
    DatabaseRefused,
    QueueGone,
)
from tests.virtual_time import VirtualTimeLoop

FOREVER = 1e9  # seconds: the queue is never empty for so long


class LosingBroker:
    """Hands over one message, or none, on each channel; then it ends."""

    slow_to_notice = 30.0

    def __init__(self, end: BrokerError, messages: int = 0) -> None:
        self.end = end
        self.first: BrokerError = end
        self.opened = 0
        self._messages = messages

    @asynccontextmanager
    async def read(self, queue: str, receive: Callable[..., None], changed: Callable[[], None]) -> AsyncIterator[Any]:
        self.opened += 1
        yield Channel(self.first if self.opened == 1 else self.end)
        raise AssertionError("it is never read to its end")

    def message(self, reading: Reading) -> None:
        """Called as a channel opens."""
        if self.opened < self._messages:
            reading._receive(1, f"run:{self.opened}", False, b'{"name": "N", "mail": "m@x"}')


class Channel:
    is_closed = True

    def __init__(self, end: BrokerError) -> None:
        self.end = end


class FakeSaver:
    def __init__(self, refusal: DatabaseError | None = None) -> None:
        self._refusal = refusal

    async def save(self, rows: list[Any]) -> Saved:
        if self._refusal:
            raise self._refusal
        return Saved(len(rows))


def read(broker: LosingBroker, saver: FakeSaver | None = None) -> tuple[Exception, float]:
    """Reads in virtual time until it raises: what that was, and how long it took."""

    async def work() -> tuple[Exception, float]:
        session = ConsumerSession("u", "host", datetime.now(UTC))
        chosen: Any = broker
        reading = Reading(session, chosen, saver or FakeSaver(), FOREVER, OUTAGE)  # type: ignore[arg-type]
        plain = reading._until_due

        async def until_due() -> None:
            broker.message(reading)
            await asyncio.sleep(100)  # the channel holds for a while
            reading._wake.set()
            await plain()

        reading._until_due = until_due  # type: ignore[method-assign]
        with pytest.raises((BrokerError, DatabaseError)) as caught:
            await reading.run()
        return caught.value, asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work())


def test_channels_that_open_and_end_without_a_message_are_given_up() -> None:
    broker = LosingBroker(BrokerLost("It was lost."))
    _, took = read(broker)
    assert took <= OUTAGE.within + 200
    assert broker.opened < 12


def test_channels_that_end_are_opened_anew_as_long_as_they_bring_messages() -> None:
    broker = LosingBroker(BrokerLost("It was lost."), messages=50)
    _, took = read(broker)
    assert took > 5 * OUTAGE.within
    assert broker.opened > 50


@pytest.mark.parametrize(
    "refusal",
    [BrokerRefused("ACCESS_REFUSED"), QueueGone(), BrokerRefused("limit", passes=True)],
    ids=["refused", "gone", "limit"],
)
def test_a_refusal_ends_it_at_once(refusal: BrokerError) -> None:
    broker = LosingBroker(refusal)
    raised, _ = read(broker)
    assert (raised, broker.opened) == (refusal, 1)


@pytest.mark.parametrize("passes", [False, True])
def test_after_a_loss_a_limit_may_pass_and_no_other_refusal(passes: bool) -> None:
    refusal = BrokerRefused("refused", passes=passes)
    broker = LosingBroker(refusal)
    broker.first = BrokerLost("It was lost.")
    raised, _ = read(broker)
    assert raised is refusal
    assert (broker.opened > 2) is passes


def test_a_database_that_refuses_ends_it_at_once() -> None:
    refusal = DatabaseRefused("permission denied for table employees")
    broker = LosingBroker(BrokerLost("It was lost."), messages=50)
    raised, took = read(broker, FakeSaver(refusal))
    assert raised is refusal and took <= 200
