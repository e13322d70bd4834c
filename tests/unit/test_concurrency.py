"""Tasks, threads and cancellation: what is cancelled, what is waited for, and whose error is heard."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from promise_pub import concurrency
from promise_pub.concurrency import (
    BackgroundTasks,
    SharedWork,
    background,
    cancel_tasks,
    finish_task,
    join_tasks,
    map_in_turns,
    run_in_thread,
    run_until,
    wait_or_cancel,
)

LONG = 3600.0


class Reported:
    """What asyncio reports of errors that nobody has read."""

    def __init__(self) -> None:
        self.contexts: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.contexts.append(context))

    def is_empty(self) -> bool:
        gc.collect()
        return not self.contexts


async def fail() -> None:
    raise ValueError("it failed")


async def slow_to_end(done: list[str]) -> None:
    """Takes its time when it is cancelled."""
    try:
        await asyncio.sleep(LONG)
    finally:
        await asyncio.sleep(0.01)
        done.append("ended")


async def started(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


async def test_cancelled_tasks_have_ended_and_their_errors_are_read() -> None:
    reported, done = Reported(), list[str]()
    tasks = [await started(slow_to_end(done)), await started(fail())]
    await cancel_tasks(*tasks)
    assert done == ["ended"] and all(task.done() for task in tasks)
    del tasks
    assert reported.is_empty()
    await cancel_tasks()


async def test_joined_tasks_are_not_cancelled() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.append("worked")

    await join_tasks(await started(work()), await started(fail()))
    assert done == ["worked"]


async def test_tasks_that_take_too_long_are_cancelled() -> None:
    slow, quick = await started(asyncio.sleep(LONG)), await started(asyncio.sleep(0))
    await wait_or_cancel([slow, quick], 0.05)
    assert quick.done() and slow.cancelling()
    await join_tasks(slow)
    await wait_or_cancel([], 0.05)


async def test_a_task_is_finished_before_its_caller_is_cancelled() -> None:
    proceed, seen = asyncio.Event(), list[str]()
    work = await started(proceed.wait())
    caller = await started(finish_task(work, on_cancel=lambda: seen.append("cancelled")))
    caller.cancel()
    await asyncio.sleep(0.01)
    assert not caller.done() and seen == ["cancelled"]
    proceed.set()
    await asyncio.wait({caller})
    assert caller.cancelled() and work.result() is True


async def test_a_cancelled_caller_waits_no_longer_than_it_may() -> None:
    work = await started(asyncio.sleep(LONG))
    caller = await started(finish_task(work, within=0.01))
    caller.cancel()
    await asyncio.wait({caller}, timeout=30)
    assert caller.cancelled() and not work.done()
    await cancel_tasks(work)


async def test_the_result_of_a_thread_and_its_error_are_the_callers() -> None:
    assert await run_in_thread(int, "7f", base=16) == 127
    with pytest.raises(ValueError, match="invalid literal"):
        await run_in_thread(int, "x")


async def test_a_cancelled_caller_waits_for_its_thread_and_its_error_is_read() -> None:
    reported, proceed, done = Reported(), threading.Event(), list[str]()

    def work() -> None:
        proceed.wait(30)
        done.append("written")
        raise ValueError

    caller = await started(run_in_thread(work))
    caller.cancel()
    await asyncio.sleep(0.01)
    assert not caller.done()
    proceed.set()
    await asyncio.wait({caller})
    assert caller.cancelled() and done == ["written"] and reported.is_empty()


async def test_work_runs_until_its_end_or_the_signal() -> None:
    signal = asyncio.get_running_loop().create_future()
    assert (await run_until(signal, asyncio.sleep(0, "done"))).result() == "done"
    assert isinstance((await run_until(signal, fail())).exception(), ValueError)
    done: list[str] = []
    asyncio.get_running_loop().call_later(0.01, signal.set_result, None)
    assert (await run_until(signal, slow_to_end(done))).cancelled()
    assert done == ["ended"]


async def test_work_ends_with_its_cancelled_caller() -> None:
    signal, done = asyncio.get_running_loop().create_future(), list[str]()
    caller = await started(run_until(signal, slow_to_end(done)))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled() and done == ["ended"] and not signal.done()


async def test_background_work_lasts_as_long_as_the_block() -> None:
    done: list[str] = []
    async with background(slow_to_end(done)) as task:
        await asyncio.sleep(0)
        assert not task.done()
    assert task.cancelled() and done == ["ended"]


async def test_an_error_of_background_work_is_raised_at_the_end_of_the_block() -> None:
    with pytest.raises(ValueError, match="it failed"):
        async with background(fail()):
            await asyncio.sleep(0)


async def test_but_not_instead_of_the_error_of_the_block() -> None:
    reported = Reported()
    with pytest.raises(KeyError):
        async with background(fail()):
            await asyncio.sleep(0)
            raise KeyError
    assert reported.is_empty()


async def test_tasks_that_nobody_awaits_are_kept_until_they_end() -> None:
    tasks = BackgroundTasks()
    task = tasks.start(asyncio.sleep(0))
    assert [*tasks] == [task]
    await task
    await asyncio.sleep(0)
    assert not [*tasks]
    done: list[str] = []
    tasks.start(slow_to_end(done))
    await asyncio.sleep(0)
    await tasks.cancel()
    assert done == ["ended"] and not [*tasks]


async def test_who_asks_for_work_that_goes_on_shares_it_and_who_asks_later_begins_it_anew() -> None:
    begun, go_on = 0, asyncio.Event()

    async def work() -> int:
        nonlocal begun
        begun += 1
        number = begun
        await go_on.wait()
        return number

    shared = SharedWork(work)
    asking = [asyncio.create_task(shared.result()) for _ in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()  # the others still wait for it
    go_on.set()
    assert await asyncio.gather(*asking[1:]) == [1] * 9
    assert await shared.result() == 2


async def test_an_error_of_shared_work_reaches_all_and_is_read_where_nobody_waits() -> None:
    reported = Reported()
    shared = SharedWork(fail)
    assert [
        type(one) for one in await asyncio.gather(*(shared.result() for _ in range(3)), return_exceptions=True)
    ] == [ValueError] * 3
    left = asyncio.create_task(shared.result())
    await asyncio.sleep(0)
    await cancel_tasks(left)
    await asyncio.sleep(0)
    assert reported.is_empty()


async def test_shared_work_that_goes_on_can_be_ended() -> None:
    shared = SharedWork(asyncio.Event().wait)
    await shared.close()  # nothing goes on
    asking = asyncio.create_task(shared.result())
    await asyncio.sleep(0)
    await shared.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_what_is_made_of_many_items_leaves_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "TURN", -1)
    others: list[int] = []
    seen: list[int] = []

    def double(item: int) -> int:
        asyncio.get_running_loop().call_soon(others.append, item)
        seen.append(len(others))
        return 2 * item

    assert await map_in_turns(double, range(5)) == [0, 2, 4, 6, 8]
    assert seen == [0, 1, 2, 3, 4], "each was followed by what waited"
    assert await map_in_turns(double, []) == []
