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
from promise_pub.retries import LOG_EVERY, Backoff, Retries
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
