"""A thread that can be abandoned."""

from __future__ import annotations

import asyncio
import threading

import pytest

from promise_pub.features.stats.abandonable_thread import AbandonableThread, Stuck


async def test_work_is_done_in_one_thread_and_its_errors_are_raised() -> None:
    thread = AbandonableThread()
    first, again = [await thread.run(threading.get_ident, 5) for _ in range(2)]
    assert first == again != threading.get_ident()

    def fail() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        await thread.run(fail, 5)
    assert await thread.run(lambda: 7, 5) == 7
    thread.close()


async def test_work_that_hangs_is_left_to_itself_and_other_work_goes_on() -> None:
    thread, end = AbandonableThread(), threading.Event()
    with pytest.raises(Stuck):
        await thread.run(end.wait, 0.05)
    assert await thread.run(lambda: 7, 5) == 7
    end.set()
    thread.close()


async def test_whoever_is_cancelled_does_not_wait_for_the_work() -> None:
    thread, end = AbandonableThread(), threading.Event()
    task = asyncio.create_task(thread.run(end.wait, 60))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await task
    end.set()
