"""Feeds of runs: all who follow a run share one look at it a tick, and one rendering of what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable
from contextlib import aclosing, asynccontextmanager

from promise_pub.concurrency import cancel_tasks
from promise_pub.records import RunReport

Poll = Callable[[], AsyncGenerator["Event"]]
"""Yields the events of a run, to the last one."""


class Event:
    """A moment of a run: `name` as it is sent. `drawn` when its charts are due."""

    def __init__(self, name: str, report: RunReport, *, drawn: bool = False) -> None:
        self.name = name
        self.report = report
        self.drawn = drawn
        self._rendered: dict[Hashable, bytes] = {}

    def render(self, kind: Hashable, make: Callable[[Event], bytes]) -> bytes:
        """Returns what `make` makes of the event, which is made once for each kind."""
        if kind not in self._rendered:
            self._rendered[kind] = make(self)
        return self._rendered[kind]


class _Feed:
    """One run, looked at as long as somebody follows it."""

    def __init__(self, poll: Poll) -> None:
        self.followers = 0
        self._latest: Event | None = None
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._run(poll))

    async def _run(self, poll: Poll) -> None:
        try:
            async with aclosing(poll()) as events:
                async for self._latest in events:
                    self._notify()
        finally:
            self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.get_running_loop().create_future()
        changed.set_result(None)

    async def events(self) -> AsyncIterator[Event]:
        """Yields the latest event, then each newer one, to the last. A slow follower misses those between.

        Raises what the poll of the run raised.
        """
        seen: Event | None = None
        while True:
            if self._latest is not None and self._latest is not seen:
                seen = self._latest
                yield seen
            elif self.task.done():
                self.task.result()
                return
            else:
                await asyncio.shield(self._changed)


class RunFeeds:
    """The runs that are followed, each looked at once for all its followers."""

    def __init__(self) -> None:
        self._feeds: dict[str, _Feed] = {}

    @asynccontextmanager
    async def follow(self, run_id: str, poll: Poll) -> AsyncIterator[AsyncIterator[Event]]:
        """Follows a run as long as the block lasts; `poll` is called where nobody follows it yet."""
        feed = self._feeds.get(run_id)
        if feed is None or feed.task.done():
            feed = self._feeds[run_id] = _Feed(poll)
        feed.followers += 1
        try:
            yield feed.events()
        finally:
            feed.followers -= 1
            if not feed.followers:
                if self._feeds.get(run_id) is feed:
                    del self._feeds[run_id]
                await cancel_tasks(feed.task)
