"""Following a run to its end: by events, by asking where there are none, and over a server that is away for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from promise_pub.errors import ServerAway
from promise_pub.remote.answers import Json
from promise_pub.remote.client import NoStream, RemoteServer
from promise_pub.remote.sse import EventReader

PATIENCE = 60.0  # seconds that a server may be away: as long as a restart with a large file takes
FIRST_PAUSE = 0.5  # seconds before it is asked again, twice as long each time
LONGEST_PAUSE = 5.0  # seconds
POLL_EVERY = 0.25  # seconds between looks, where there are no events

Trouble = Callable[[str], None]


async def follow(server: RemoteServer, run: Json, trouble: Trouble) -> AsyncGenerator[Json, None]:
    """The run as it goes, its end last.

    `trouble` is told why nothing comes, and "" once something does again. Raises ServerAway after PATIENCE without an
    answer, ServerAnswerError for an answer that will not change.
    """
    yield run
    patience = _Patience(trouble)
    source = _Source(server, run["id"])
    while run["finished_at"] is None:
        try:
            async with aclosing(source.tells()) as told:
                async for run in told:
                    patience.answered()
                    yield run
                    if run["finished_at"] is not None:
                        return
        except ServerAway as error:
            await patience.wait(error)


class _Source:
    """Where news of a run come from."""

    def __init__(self, server: RemoteServer, run_id: str) -> None:
        self._server = server
        self._run_id = run_id
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
        await asyncio.sleep(min(reader.retry or FIRST_PAUSE, LONGEST_PAUSE))


class _Patience:
    """How long a server that does not answer is asked again. It begins anew with every answer."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._since: float | None = None
        self._pause = FIRST_PAUSE

    def answered(self) -> None:
        if self._since is not None:
            self._since, self._pause = None, FIRST_PAUSE
            self._trouble("")

    async def wait(self, error: ServerAway) -> None:
        """Raises the error, with how long was tried, when there was patience enough."""
        now = asyncio.get_running_loop().time()
        self._since = now if self._since is None else self._since
        left = self._since + PATIENCE - now
        if left <= 0:
            raise ServerAway(f"{error.message} (for {PATIENCE:.0f} s)", error.details) from error
        self._trouble(f"{error.message}: trying again for {left:.0f} s")
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
