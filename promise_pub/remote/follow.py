"""Follows a run to its end: by events, by polling without them, and while the server is away for a time."""

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
POLL_EVERY = 0.25  # seconds, where there are no events

Trouble = Callable[[str], None]


async def follow(
    server: RemoteServer, run: Json, trouble: Trouble, backoff: Backoff = AWAY
) -> AsyncGenerator[Json, None]:
    """Yields the run whenever it has changed, its end last.

    Calls `trouble` with the reason why no updates come, and with "" once they do again. Raises ServerAway after a
    minute without an answer, ServerAnswerError for an answer that will not change.
    """
    yield run
    retries = Retries(backoff, lambda error, left: trouble(f"{error.message}: trying again for {left:.0f} s"))
    source = _Source(server, run["id"], backoff)
    while run["finished_at"] is None:
        try:
            async with aclosing(source.updates()) as updates:
                async for run in updates:
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
    """The source of a run's updates."""

    def __init__(self, server: RemoteServer, run_id: str, backoff: Backoff) -> None:
        self._server = server
        self._run_id = run_id
        self._backoff = backoff
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
        await asyncio.sleep(min(reader.retry or self._backoff.first, self._backoff.longest))
