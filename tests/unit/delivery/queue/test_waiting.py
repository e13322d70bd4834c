"""The queue of runs: first come, first served, with room for so many."""

from __future__ import annotations

import asyncio

import pytest

from promise_pub.delivery.queue.waiting import RunQueue
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import TooManyWaiting
from promise_pub.parameters import Parameters
from promise_pub.records import StoredFile


def run(name: str) -> ActiveRun:
    return ActiveRun(name, StoredFile("a", 1, "h"), Parameters())


async def test_runs_are_taken_in_their_order() -> None:
    queue, runs = RunQueue(10), [run("a"), run("b"), run("c")]
    for one in runs:
        queue.append(one)
    assert [queue.position(one) for one in runs] == [1, 2, 3]
    assert queue.remove(runs[1]) and not queue.remove(runs[1])
    assert [await queue.take_next(), await queue.take_next()] == [runs[0], runs[2]]
    assert queue.waiting == 0 and queue.position(runs[0]) is None


async def test_a_worker_waits_for_a_run_and_for_the_end_of_the_queue() -> None:
    queue, one = RunQueue(10), run("a")
    taking = asyncio.create_task(queue.take_next())
    await asyncio.sleep(0)
    queue.append(one)
    assert await asyncio.wait_for(taking, 20) is one
    taking = asyncio.create_task(queue.take_next())
    await asyncio.sleep(0)
    assert queue.close() == []
    assert await asyncio.wait_for(taking, 20) is None


async def test_a_closed_queue_returns_those_that_waited() -> None:
    queue, one = RunQueue(10), run("a")
    queue.append(one)
    assert queue.close() == [one]
    assert await queue.take_next() is None


@pytest.mark.parametrize("running", [True, False])
def test_a_reserved_place_counts_as_a_waiting_run(running: bool) -> None:
    queue, runs = RunQueue(2), [run("a"), run("b"), run("c")]
    queue.append(runs[0])
    queue.reserve(runs[1])
    assert [*queue] == runs[:2]
    if running:
        with pytest.raises(TooManyWaiting, match="1 run"):
            queue.require_room(running=True)
        queue.release(runs[1])
    queue.require_room(running=running)
