"""Waiting for others that are away: how long, how often, and what ends it at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from promise_pub.errors import (
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    ConsumerUnreachable,
    DatabaseError,
    DatabaseRefused,
    DatabaseUnavailable,
    PromisePubError,
    QueueGone,
    SchemaMissing,
    ServerAway,
)
from promise_pub.retries import LOG_EVERY, Backoff, Retries, retry
from tests.virtual_time import VirtualTimeLoop

BACKOFF = Backoff(first=0.05, longest=5.0, within=900.0)


def in_virtual_time(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(work())


async def waited_until_it_raises(retries: Retries, error: PromisePubError, done: Callable[[int], int]) -> list[float]:
    """How long each wait was."""
    clock = asyncio.get_running_loop().time
    waits: list[float] = []
    with pytest.raises(type(error)):
        for turn in range(100_000):
            began = clock()
            await retries.wait(error, done=done(turn))
            waits.append(clock() - began)
    return waits


def test_it_waits_longer_each_time_up_to_a_limit_and_then_raises() -> None:
    async def work() -> None:
        retries = Retries(BACKOFF)
        waits = await waited_until_it_raises(retries, DatabaseUnavailable(), lambda _: 0)
        assert waits[0] <= BACKOFF.first < 1 < max(waits) <= BACKOFF.longest
        assert BACKOFF.within <= sum(waits) <= BACKOFF.within + BACKOFF.longest

    in_virtual_time(work)


def test_a_try_that_works_and_brings_nothing_on_renews_nothing() -> None:
    """As a broker does that takes each connection, and closes it at the first row."""

    async def work() -> None:
        retries, tries = Retries(BACKOFF), 0
        with pytest.raises(BrokerLost):
            while True:
                await retries.wait(BrokerLost(), done=7)
                retries.log_success("The broker is back")
                tries += 1
        assert tries < 2 * BACKOFF.within / BACKOFF.longest + 10
        assert asyncio.get_running_loop().time() <= BACKOFF.within + BACKOFF.longest

    in_virtual_time(work)


def test_progress_renews_it_and_makes_it_quick_again() -> None:
    async def work() -> None:
        clock = asyncio.get_running_loop().time
        retries = Retries(BACKOFF)
        for _ in range(100):
            await retries.wait(BrokerLost(), done=1)
        await asyncio.sleep(10 * BACKOFF.within)
        began = clock()
        await retries.wait(BrokerLost(), done=2)
        assert clock() - began <= BACKOFF.first

    in_virtual_time(work)


@pytest.mark.parametrize(
    "error",
    [
        BrokerRefused(),
        QueueGone(),
        DatabaseError(),
        DatabaseRefused(),
        SchemaMissing(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_lasts_is_not_tried_again(error: PromisePubError) -> None:
    retries = Retries(BACKOFF)
    with pytest.raises(type(error)) as caught:
        await retries.wait(error)
    assert caught.value is error


@pytest.mark.parametrize(
    "error",
    [
        BrokerLost(),
        BrokerUnreachable(),
        BrokerRefused(passes=True),
        ConsumerUnreachable(),
        DatabaseUnavailable(),
        DatabaseError(passes=True),
        ServerAway(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_may_pass_is_tried_again(error: PromisePubError) -> None:
    await Retries(Backoff(0.0, 0.0, within=900.0)).wait(error)


def test_the_log_has_a_line_now_and_then_however_often_it_is_tried(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def work() -> None:
        retries = Retries(BACKOFF)
        for done in range(5_000):  # each brings something on, so the next try is a quick one
            await retries.wait(BrokerLost(), done=done)
            retries.log_success("The broker is back")
        seconds = asyncio.get_running_loop().time()
        assert seconds > 100
        assert 2 <= len(caplog.records) <= 2 * (seconds / LOG_EVERY + 1)

    in_virtual_time(work)
    assert caplog.messages[1] == "The broker is back"


async def test_a_wait_can_be_cancelled() -> None:
    waiting = asyncio.create_task(Retries(BACKOFF).wait(BrokerLost()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_loop_that_lost_its_cancellation_ends_at_the_next_wait() -> None:
    async def try_for_ever() -> None:
        retries = Retries(BACKOFF)
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            await retries.wait(BrokerLost())

    trying = asyncio.create_task(try_for_ever())
    await asyncio.sleep(0)
    trying.cancel()
    done, _ = await asyncio.wait({trying}, timeout=5)
    assert done and trying.cancelled()


def test_delays_double_up_to_the_longest_until_the_time_is_over() -> None:
    assert [*Backoff(1.0, 4.0, within=12.0, jitter=0.0).delays()] == [1.0, 2.0, 4.0, 4.0, 4.0]
    assert not [*Backoff(1.0, 4.0, within=0.0).delays()]


def test_jitter_makes_delays_shorter_and_never_longer() -> None:
    delays = [*Backoff(1.0, 1.0, within=1000.0).delays()]
    assert 0.5 <= min(delays) < 0.6 and 0.9 < max(delays) <= 1.0


async def test_a_reset_makes_the_next_failure_the_first() -> None:
    retries = Retries(Backoff(0.0, 0.0, within=0.0))
    assert not retries.failing
    with pytest.raises(BrokerLost):
        await retries.wait(BrokerLost())
    assert retries.failing
    retries.reset()
    assert not retries.failing


async def test_troubles_are_reported_with_the_time_that_is_left(caplog: pytest.LogCaptureFixture) -> None:
    reported: list[tuple[str, float]] = []
    retries = Retries(Backoff(0.0, 0.0, within=60.0), lambda error, left: reported.append((error.message, left)))
    await retries.wait(ServerAway("It is away."))
    await retries.wait(ServerAway("It is away."))
    assert reported[0] == ("It is away.", 60.0) and reported[1][1] < 60.0
    assert not caplog.records


async def test_a_step_is_done_until_it_succeeds() -> None:
    failures: list[PromisePubError] = [DatabaseUnavailable(), DatabaseUnavailable()]

    async def step() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert await retry(step, Backoff(0.0, 0.0), DatabaseError) == "done"
    failures.append(DatabaseRefused())
    with pytest.raises(DatabaseRefused):
        await retry(step, Backoff(0.0, 0.0), DatabaseError)
    failures.append(BrokerLost())
    with pytest.raises(BrokerLost):
        await retry(step, Backoff(0.0, 0.0), DatabaseError)
