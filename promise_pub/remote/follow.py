"""Follows a run to its end: by events, by polling without them, and while the server is away for a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from promise_pub.errors import ServerAway
from promise_pub.remote.answers import Json
from promise_pub.remote.client import NoStream, RemoteServer
from promise_pub.remote.sse import EventReader

PATIENCE = 60.0  # seconds without the server: a restart with a large file takes as long
FIRST_PAUSE = 0.5  # seconds before the next try, doubled each time
LONGEST_PAUSE = 5.0  # seconds
POLL_EVERY = 0.25  # seconds, where there are no events

Trouble = Callable[[str], None]


async def follow(server: RemoteServer, run: Json, trouble: Trouble) -> AsyncGenerator[Json, None]:
    """Yields the run whenever it has changed, its end last.

    Calls `trouble` with the reason why no updates come, and with "" once they do again. Raises ServerAway after
    PATIENCE without an answer, ServerAnswerError for an answer that will not change.
    """
    yield run
    retrying = _Retrying(trouble)
    source = _Source(server, run["id"])
    while run["finished_at"] is None:
        try:
            async with aclosing(source.updates()) as updates:
                async for run in updates:
                    retrying.answered()
                    yield run
                    if run["finished_at"] is not None:
                        return
        except ServerAway as error:
            await retrying.wait(error)


class _Source:
    """The source of a run's updates."""

    def __init__(self, server: RemoteServer, run_id: str) -> None:
        self._server = server
        self._run_id = run_id
        self._streams = True

    async def updates(self) -> AsyncGenerator[Json, None]:
        """Yields some updates. Raises ServerAway where there are none."""
        if self._streams:
            async with aclosing(self._streamed()) as updates:
                async for run in updates:
                    yield run
        else:
            await asyncio.sleep(POLL_EVERY)
            yield await self._server.run(self._run_id)

    async def _streamed(self) -> AsyncGenerator[Json, None]:
        reader, silent = EventReader(), True
        try:
            async with aclosing(self._server.stream(self._run_id, reader)) as updates:
                async for run in updates:
                    silent = False
                    yield run
        except NoStream:
            self._streams = False
            return
        if silent:
            raise ServerAway(f"{self._server.url} sends no events of the run")
        # The stream ended in order before the run did: the server expects a new request.
        await asyncio.sleep(min(reader.retry or FIRST_PAUSE, LONGEST_PAUSE))


class _Retrying:
    """The pauses between tries of a server that does not answer; each answer resets them."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._since: float | None = None
        self._pause = FIRST_PAUSE

    def answered(self) -> None:
        if self._since is not None:
            self._since, self._pause = None, FIRST_PAUSE
            self._trouble("")

    async def wait(self, error: ServerAway) -> None:
        """Sleeps before the next try. Raises the error, with the time it took, after PATIENCE."""
        now = asyncio.get_running_loop().time()
        self._since = now if self._since is None else self._since
        left = self._since + PATIENCE - now
        if left <= 0:
            raise ServerAway(f"{error.message} (for {PATIENCE:.0f} s)", error.details) from error
        self._trouble(f"{error.message}: trying again for {left:.0f} s")
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
