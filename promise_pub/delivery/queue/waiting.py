"""The queue of runs: first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import TooManyWaiting


class RunQueue:
    """Runs that wait for their turn, and runs that are being recorded before they wait."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._waiting: deque[ActiveRun] = deque()
        self._opening: list[ActiveRun] = []
        self._news = asyncio.Event()
        self._closed = False

    @property
    def waiting(self) -> int:
        """The number of runs that wait for their turn."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[ActiveRun]:
        return iter([*self._waiting, *self._opening])

    def require_room(self, *, running: bool) -> None:
        """Raises TooManyWaiting where no other run may come. `running`: a run has its turn now."""
        # Where none has, the first of these gets it at once, and does not count.
        if len(self._waiting) + len(self._opening) + running > self._max_waiting:
            raise TooManyWaiting(f"{len(self._waiting)} runs are waiting already: try again later.")

    def reserve(self, run: ActiveRun) -> None:
        """Counts a run in while it is being recorded: other runs may be admitted meanwhile."""
        self._opening.append(run)

    def release(self, run: ActiveRun) -> None:
        """Ends the reservation: the run waits by now, or has ended."""
        self._opening.remove(run)

    def append(self, run: ActiveRun) -> None:
        self._waiting.append(run)
        self._news.set()

    def remove(self, run: ActiveRun) -> bool:
        """Takes a run out. Returns False where it does not wait."""
        waits = run in self._waiting
        if waits:
            self._waiting.remove(run)
        return waits

    def close(self) -> list[ActiveRun]:
        """Ends the queue. Returns the runs that were waiting."""
        runs = [*self._waiting]
        self._waiting.clear()
        self._closed = True
        self._news.set()
        return runs

    async def take_next(self) -> ActiveRun | None:
        """Waits for the first run and takes it out. Returns None once the queue is closed."""
        while not (self._waiting or self._closed):
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft() if self._waiting else None

    def position(self, run: ActiveRun) -> int | None:
        """Returns the place of a waiting run, from 1 on."""
        return self._waiting.index(run) + 1 if run in self._waiting else None
