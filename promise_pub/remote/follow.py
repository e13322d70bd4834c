"""Following a run to its end: by events, by asking where there are none, and over a server that is away for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from promise_pub.errors import ServerAway
from promise_pub.remote.answers import Json
from promise_pub.remote.client import NoStream, RemoteServer
from promise_pub.remote.sse import EventReader
from promise_pub.retries import Backoff, Retries

# A server may be away for as long as a restart with a large file takes.
AWAY = Backoff(first=0.5, longest=5.0, within=60.0, jitter=0.0)
POLL_EVERY = 0.25  # seconds between looks, where there are no events

Trouble = Callable[[str], None]


async def follow(
    server: RemoteServer, run: Json, trouble: Trouble, backoff: Backoff = AWAY
) -> AsyncGenerator[Json, None]:
    """The run as it goes, its end last.

    `trouble` is told why nothing comes, and "" once something does again. Raises ServerAway after a minute
    without an answer, ServerAnswerError for an answer that will not change.
    """
    yield run
    retries = Retries(backoff, lambda error, left: trouble(f"{error.message}: trying again for {left:.0f} s"))
    source = _Source(server, run["id"], backoff)
    while run["finished_at"] is None:
        try:
            async with aclosing(source.tells()) as told:
                async for run in told:
                    if retries.failing:
                        retries.reset()
                        trouble("")
                    yield run
                    if run["finished_at"] is not None:
                        return
        except ServerAway as away:
            try:
                await retries.wait(away)
            except ServerAway as error:
                raise ServerAway(f"{error.message} (for {backoff.within:.0f} s)", error.details) from error


class _Source:
    """Where news of a run come from."""

    def __init__(self, server: RemoteServer, run_id: str, backoff: Backoff) -> None:
        self._server = server
        self._run_id = run_id
        self._backoff = backoff
        self._streams = True

    async def tells(self) -> AsyncGenerator[Json, None]:
        """Some news. Raises ServerAway where there are none."""
        if self._streams:
            async with aclosing(self._streamed()) as told:
                async for run in told:
                    yield run
        else:
            await asyncio.sleep(POLL_EVERY)
            yield await self._server.run(self._run_id)

    async def _streamed(self) -> AsyncGenerator[Json, None]:
        reader, silent = EventReader(), True
        try:
            async with aclosing(self._server.stream(self._run_id, reader)) as told:
                async for run in told:
                    silent = False
                    yield run
        except NoStream:
            self._streams = False
            return
        if silent:
            raise ServerAway(f"{self._server.url} tells nothing of the run")
        # An orderly end before the run's: the server wants to be asked anew.
        await asyncio.sleep(min(reader.retry or self._backoff.first, self._backoff.longest))
