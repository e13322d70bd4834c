"""Tasks, threads and cancellation: the few patterns that more than one room needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

TURN = 0.005  # seconds


async def join_tasks(*tasks: asyncio.Future[Any]) -> None:
    """Waits until the tasks have ended, and reads their errors, so that asyncio does not report them as never read."""
    running = {task for task in tasks if not task.done()}
    if running:
        await asyncio.wait(running)
    for task in tasks:
        if not task.cancelled():
            task.exception()


async def cancel_tasks(*tasks: asyncio.Future[Any]) -> None:
    """Cancels the tasks and waits until they have ended, however they did."""
    for task in tasks:
        task.cancel()
    await join_tasks(*tasks)


async def wait_or_cancel(tasks: Iterable[asyncio.Future[Any]], seconds: float) -> None:
    """Waits for the tasks, and cancels those that take longer, without waiting for their end."""
    if waiting := {*tasks}:
        _, late = await asyncio.wait(waiting, timeout=seconds)
        for task in late:
            task.cancel()


async def finish_task(
    task: asyncio.Future[T], within: float | None = None, on_cancel: Callable[[], object] | None = None
) -> T:
    """Returns the result of a task that the caller's cancellation does not cancel.

    A cancelled caller calls `on_cancel`, waits until the task has ended, at most `within` seconds, and is cancelled
    then.
    """
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if on_cancel:
            on_cancel()
        await asyncio.wait({task}, timeout=within)
        if task.done():
            await join_tasks(task)
        raise


async def run_in_thread(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Returns or raises what `work` does in a thread.

    A thread cannot be cancelled: a cancelled caller waits until it is done, so that it writes nothing behind the back
    of a clean-up.
    """
    return await finish_task(asyncio.create_task(asyncio.to_thread(work, *arguments, **options)))


async def map_in_turns(function: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """Returns what a short function makes of each item. After TURN others have their turn on the event loop."""
    loop = asyncio.get_running_loop()
    made: list[T] = []
    turn_ends = loop.time() + TURN
    for item in items:
        made.append(function(item))
        if loop.time() > turn_ends:
            await asyncio.sleep(0)
            turn_ends = loop.time() + TURN
    return made


async def run_until(signal: asyncio.Future[Any], work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Runs `work` until it ends or `signal` is done, and returns its task: cancelled, if the signal came first."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, signal}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_tasks(task)
    return task


@asynccontextmanager
async def background(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Runs `work` until the block ends, then cancels it. Raises its error, unless the block has raised one."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        await cancel_tasks(task)
    if not task.cancelled():
        task.result()


class SharedWork(Generic[T]):
    """Work that all who ask for it while it goes on share: it is begun once, and goes on when some of them leave."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None

    async def result(self) -> T:
        """Returns or raises what the work does that is going on, or begins now."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._begin())
            self._task.add_done_callback(read_error)
        return await asyncio.shield(self._task)

    async def _begin(self) -> T:
        return await self._work()

    async def close(self) -> None:
        """Cancels the work that is going on."""
        if self._task:
            await cancel_tasks(self._task)


def read_error(task: asyncio.Future[Any]) -> None:
    """Reads the error of a task that has ended, so that asyncio does not report it as never read."""
    if not task.cancelled():
        task.exception()


class BackgroundTasks:
    """Tasks that nobody awaits, kept until they have ended."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return iter([*self._running])

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def cancel(self) -> None:
        """Cancels all and waits until they have ended."""
        await cancel_tasks(*self)
