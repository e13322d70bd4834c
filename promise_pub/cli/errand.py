"""One run at a server, as a command sees it: begun or found, shown as it goes, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from uuid import UUID

from promise_pub.cli.display import Display, open_display
from promise_pub.errors import BadParameter, ServerAway, Stopped
from promise_pub.remote.answers import Json
from promise_pub.remote.client import RemoteServer, open_remote
from promise_pub.remote.decode import as_report
from promise_pub.remote.follow import AWAY, follow
from promise_pub.retries import Backoff

SERVER = "http://localhost:8000"


class Errand:
    """`run` is what was last told of the run, None as long as nothing was."""

    def __init__(self, server: str | None) -> None:
        self.url = server or SERVER
        self.run: Json | None = None
        self._server: RemoteServer
        self._display: Display
        self._left = 0

    @asynccontextmanager
    async def opened(self, *, quiet: bool) -> AsyncIterator[None]:
        """While the block goes, the server can be asked. Raises Stopped when whoever ran the command ends it."""
        try:
            with open_display(quiet=quiet) as self._display:
                async with open_remote(self.url) as self._server:
                    yield
        except asyncio.CancelledError:
            raise Stopped(self._what_goes_on()) from None
        except ServerAway as error:
            if self.run is None:
                raise
            raise ServerAway(
                f"{error.message}. The run may go on; {self._how_to_go_on(self.run)}", error.details
            ) from error

    async def submit(self, file: Path, given: Mapping[str, str]) -> Json:
        """Uploads a file: its run, or with `dry_run` what the server says of the file."""
        self._left = (await asyncio.to_thread(file.stat)).st_size
        self._display.uploading(file.name, self._left)
        answer = await self._server.submit(file, given, self._uploaded)
        if "id" in answer:
            self.run = answer
        return answer

    def _uploaded(self, count: int) -> None:
        self._left -= count
        self._display.uploaded(count)

    async def find(self, run_id: str) -> None:
        """A run that there is."""
        self.run = await self._server.run(run_id)

    async def resume(self, run_id: str) -> None:
        self.run = await self._server.resume(run_id)

    async def cancel(self, run_id: str) -> None:
        self.run = await self._server.cancel(run_id)

    async def to_the_end(self, backoff: Backoff = AWAY) -> Json:
        """The run as it ended; until then the display shows how it goes."""
        assert self.run
        news = follow(self._server, self.run, self._display.trouble, backoff)
        async with aclosing(news):
            async for run in news:
                self.run = run
                self._display.show(as_report(run))
        return self.run

    def _what_goes_on(self) -> str:
        if self.run:
            return f"Stopped following: the run goes on; {self._how_to_go_on(self.run)}"
        if self._left > 0:
            return "Stopped before all of the file was sent: there is no run of it."
        return "Stopped before the server answered: its history shows whether there is a run."

    def _how_to_go_on(self, run: Json) -> str:
        where = "" if self.url == SERVER else f" --server {self._server.shown}"
        return (
            f"to follow it: promise-pub send --follow {run['id']}{where} -- "
            f"to end it: promise-pub runs {run['id']} --cancel{where}"
        )


def run_id(text: str) -> str:
    """A run's id. Raises BadParameter for what can be none."""
    try:
        return str(UUID(text))
    except ValueError:
        raise BadParameter(f"{text!r} is no run's id") from None
