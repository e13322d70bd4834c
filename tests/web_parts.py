"""What tests of the whole server need: a server over the tests' services, and ways to send it a file."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from promise_pub import app
from promise_pub.delivery.run.backoffs import BACKOFFS, Backoffs
from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, RabbitSettings, ServerSettings, Settings
from tests.consumer_parts import ConsumerUnderTest

PATIENCE = 120  # seconds after which a request has failed; nothing here takes that long


@dataclass(frozen=True)
class Reply:
    status: int
    text: str
    headers: Any
    json: Any


class ServerUnderTest:
    """A running server and an HTTP client for it."""

    def __init__(self, url: str, http: aiohttp.ClientSession, uploads: Path) -> None:
        self.url = URL(url)
        self.uploads = uploads
        self._http = http

    async def ask(self, method: str, path: str, **arguments: Any) -> Reply:
        async with self._http.request(method, f"{self.url}{path}", **arguments) as response:
            text = await response.text()
            told = await response.json(content_type=None) if "json" in response.content_type else None
            return Reply(response.status, text, response.headers, told)

    async def get(self, path: str, **arguments: Any) -> Reply:
        return await self.ask("GET", path, **arguments)

    async def send(self, content: bytes, query: str = "", *, name: str = "data.csv", **fields: str) -> Reply:
        """The file by form, as curl -F does; JSON comes back."""
        form = aiohttp.FormData(fields, quote_fields=False)
        form.add_field("input_file", io.BytesIO(content), filename=name, content_type="text/csv")
        return await self.ask("POST", f"/simulate/{query}", data=form, headers={"Accept": "application/json"})

    def stored(self) -> list[str]:
        """The endings of the files in the uploads folder."""
        return sorted(file.suffix for file in self.uploads.iterdir())


@asynccontextmanager
async def serving(settings: Settings, backoffs: Backoffs = BACKOFFS) -> AsyncIterator[ServerUnderTest]:
    """The server in this process."""
    async with app.running(settings, backoffs=backoffs) as url, client() as http:
        yield ServerUnderTest(url, http, settings.server.uploads)


def client() -> aiohttp.ClientSession:
    """A client with as many connections as are asked for at once."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE))


def settings(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    consumer: ConsumerUnderTest | int,
    folder: Path,
    *,
    impatient: bool = False,
    **server: Any,
) -> Settings:
    """Settings for a server on a free port; `consumer` is one that runs, or a port where none may.

    An `impatient` one waits for a consumer no longer than a test can; the others wait out a machine that stands still.
    """
    port = consumer if isinstance(consumer, int) else URL(consumer.url).port
    health = "/healthcheck/" if isinstance(consumer, int) else consumer.health_path
    return Settings(
        server=replace(ServerSettings(port=0, uploads=folder / "uploads"), **server),
        rabbit=rabbit,
        consumer=ConsumerSettings(
            host="127.0.0.1",
            port=port,
            healthcheck_url=health,
            answer_timeout=1.5 if impatient else 20,
            stall_timeout=2 if impatient else 20,
        ),
        database=database,
    )


def csv_of(rows: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{name},{mail}\n" for name, mail in rows).encode()


def people(count: int, repeats: int = 0) -> bytes:
    """So many rows, the last `repeats` of them with mails that stand before."""
    rows = [(f"Name {n}", f"{n % (count - repeats)}@example.com") for n in range(count)]
    return csv_of(rows)


async def until(question: Callable[[], Awaitable[Any]], within: float = 90) -> Any:
    """The first answer that is true."""
    async with asyncio.timeout(within):
        while not (answer := await question()):  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.02)
    return answer
