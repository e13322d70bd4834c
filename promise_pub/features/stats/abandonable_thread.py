"""A thread that can be abandoned: what a plugin does may never end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple[Callable[[], Any], "Future[Any]"]


class Stuck(Exception):
    """Work was not done in time. Its thread is left to itself."""


class AbandonableThread:
    """A thread for one piece of work at a time. It keeps no process from ending, whatever it does."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] | None = None

    async def run(self, work: Callable[[], T], within: float) -> T:
        """Returns or raises what the work does. Raises Stuck where it takes more seconds; whoever is cancelled leaves
        the thread, too."""
        if self._jobs is None:
            self._jobs = SimpleQueue()
            Thread(target=_do, args=(self._jobs,), name="statistics", daemon=True).start()
        done: Future[T] = Future()
        self._jobs.put((work, done))
        waiting = asyncio.wrap_future(done)
        try:
            finished, _ = await asyncio.wait({waiting}, timeout=within)
        except BaseException:
            self.close()
            waiting.cancel()
            raise
        if not finished:
            self.close()
            waiting.cancel()
            raise Stuck
        return waiting.result()

    def close(self) -> None:
        """Lets the thread end after its work."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None


def _do(jobs: SimpleQueue[_Job | None]) -> None:
    while job := jobs.get():
        work, done = job
        if not done.set_running_or_notify_cancel():
            continue
        try:
            outcome = work()
        except BaseException as error:  # noqa: BLE001  a plugin may raise anything
            done.set_exception(error)
        else:
            done.set_result(outcome)
        del job, work, done
