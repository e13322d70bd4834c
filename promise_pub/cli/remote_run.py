"""A run at a server, as a command sees it: started or found, and followed to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from yarl import URL

from promise_pub.cli.display import Display, open_display
from promise_pub.errors import BadParameter, ServerAway, Stopped
from promise_pub.presentation.run_json import decode_run
from promise_pub.remote.answers import Json
from promise_pub.remote.client import RemoteServer, open_remote, without_credentials
from promise_pub.remote.follow import AWAY, follow
from promise_pub.remote.rows import await_fates, fetch_first_in_need
from promise_pub.retries import Backoff
from promise_pub.text import parse_uuid

SERVER = "http://localhost:8000"


class RemoteRun:
    """A run at a server. `run` is its JSON as last received, None before the first answer; `in_need` are the first of its
    rows that need somebody, once it has ended."""

    def __init__(self, server: str | None) -> None:
        self.url = server or SERVER
        self.run: Json | None = None
        self.in_need: list[Json] = []
        self._server: RemoteServer
        self._display: Display
        self._left = 0

    @property
    def address(self) -> str:
        """The URL of the run's page, without credentials; "" before there is a run."""
        if not self.run:
            return ""
        return str(without_credentials(URL(self.url)) / "runs" / self.run["id"])

    @asynccontextmanager
    async def connected(self, *, quiet: bool) -> AsyncIterator[None]:
        """Connects to the server for the block. Raises Stopped when the user ends the command."""
        try:
            with open_display(quiet=quiet) as self._display:
                async with open_remote(self.url) as self._server:
                    yield
        except asyncio.CancelledError:
            raise Stopped(self._describe_stop()) from None
        except ServerAway as error:
            if self.run is None:
                raise
            raise ServerAway(
                f"{error.message}. The run may go on; {self._suggest_commands(self.run)}", error.details
            ) from error

    async def submit(self, file: Path, given: Mapping[str, str]) -> Json:
        """Uploads a file. Returns its run, or with `dry_run` the report of the dry run."""
        self._left = (await asyncio.to_thread(file.stat)).st_size
        self._display.uploading(file.name, self._left)
        answer = await self._server.submit(file, given, self._uploaded)
        if "id" in answer:
            self.run = answer
        return answer

    def _uploaded(self, count: int) -> None:
        self._left -= count
        self._display.uploaded(count)

    async def fetch(self, run_id: str) -> None:
        self.run = await self._server.run(run_id)

    async def resume(self, run_id: str) -> None:
        self.run = await self._server.resume(run_id)

    async def cancel(self, run_id: str) -> None:
        self.run = await self._server.cancel(run_id)

    async def follow_to_end(self, backoff: Backoff = AWAY) -> Json:
        """Returns the run as it ended, after showing its progress."""
        assert self.run
        news = follow(self._server, self.run, self._display.trouble, backoff)
        async with aclosing(news):
            async for run in news:
                self.run = run
                self._display.show(decode_run(run))
        self.run = await await_fates(self._server, self.run)
        self.in_need = await fetch_first_in_need(self._server, self.run)
        return self.run

    def _describe_stop(self) -> str:
        if self.run:
            return f"Stopped following: the run goes on; {self._suggest_commands(self.run)}"
        if self._left > 0:
            return "Stopped before all of the file was sent: there is no run of it."
        return "Stopped before the server answered: its history shows whether there is a run."

    def _suggest_commands(self, run: Json) -> str:
        where = "" if self.url == SERVER else f" --server {self._server.shown}"
        return (
            f"to follow it: promise-pub send --follow {run['id']}{where} -- "
            f"to end it: promise-pub runs {run['id']} --cancel{where}"
        )


def parse_run_id(text: str) -> str:
    """Reads a run's id. Raises BadParameter."""
    return str(parse_uuid(text, BadParameter(f"{text!r} is no run's id")))
