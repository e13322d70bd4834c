"""An event loop in which waiting takes no time: when nothing is left to do, its clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` is what timers are set by. For work without sockets and threads: what those wait for takes real time."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
        if scheduled and not self._ready:  # type: ignore[attr-defined]
            self._now = max(self._now, scheduled[0]._when)
        super()._run_once()  # type: ignore[misc]


@contextmanager
def without_threads() -> Iterator[None]:
    """What would go to a thread is done at once: threads know no virtual time."""
    plain = asyncio.to_thread

    async def at_once(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(0)
        return work(*arguments, **options)

    asyncio.to_thread = at_once
    try:
        yield
    finally:
        asyncio.to_thread = plain
