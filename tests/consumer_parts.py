"""What tests of consumers need: the bundled one and the field double behind one face, messages, and a broker that can be lost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from json import dumps, loads
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import aiormq
import aiormq.exceptions
import asyncpg
from aiohttp import web
from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from promise_pub.amqp.connection import connect
from promise_pub.consumer.saver import OUTAGE
from promise_pub.consumer.server import make_app
from promise_pub.retries import Backoff
from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, RabbitSettings, ServerSettings, Settings
from tests.described_messages import DESCRIPTION, OF_THE_TESTS, inspected

PATIENCE = 60  # seconds after which a test that waits has failed; nothing here takes that long
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    def json(self) -> Any:
        return loads(self.text)

    def complains(self) -> bool:
        """As the field does it: status 200, and not JSON."""
        return self.status == 200 and bool(self.text) and not self.text.startswith("{")


class ConsumerUnderTest:
    """One consumer's five calls."""

    def __init__(self, http: aiohttp.ClientSession, url: str, health_path: str) -> None:
        self.url = url
        self.health_path = health_path
        self._http = http

    async def get(self, path: str, **query: Any) -> Answer:
        async with self._http.get(self.url + path, params=query) as response:
            return Answer(response.status, await response.text())

    async def create(self) -> str:
        return str((await self.get("/create/")).json()["uuid"])

    async def process(self, uuid: str, mode: str, idle: int, **more: Any) -> Answer:
        return await self.get("/process/", uuid=uuid, mode=mode, timeout=idle, **more)

    async def session(self, uuid: str) -> dict[str, Any]:
        return dict((await self.get("/getSession/", uuid=uuid)).json())

    async def remove(self, uuid: str, **more: Any) -> dict[str, Any]:
        return dict((await self.get("/remove/", uuid=uuid, **more)).json())

    async def until(self, uuid: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The session once something is true of it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                session = await self.session(uuid)
                if true(session):
                    return session
                await asyncio.sleep(0.02)


def settings_of(rabbit: RabbitSettings, database: DatabaseSettings) -> Settings:
    consumer = ConsumerSettings(host="127.0.0.1", port=0)
    return Settings(server=ServerSettings(), rabbit=rabbit, consumer=consumer, database=database)


@asynccontextmanager
async def bundled(
    rabbit: RabbitSettings, database: DatabaseSettings, backoff: Backoff = OUTAGE
) -> AsyncIterator[ConsumerUnderTest]:
    """In this process. What promise-pub sends it has to be as described."""
    with inspected():
        async with _bundled(rabbit, database, backoff) as consumer:
            yield consumer


@asynccontextmanager
async def _bundled(
    rabbit: RabbitSettings, database: DatabaseSettings, backoff: Backoff
) -> AsyncIterator[ConsumerUnderTest]:
    runner = web.AppRunner(make_app(settings_of(rabbit, database), backoff), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with _client() as http:
            yield ConsumerUnderTest(http, f"http://127.0.0.1:{runner.addresses[0][1]}", "/healthcheck/")
    finally:
        await runner.cleanup()


@asynccontextmanager
async def field(rabbit: RabbitSettings, database: DatabaseSettings, *switches: str) -> AsyncIterator[ConsumerUnderTest]:
    """The double as a process of its own, with its switches. What promise-pub sends it has to be as described."""
    arguments = [
        "-m",
        "tests.field_consumer",
        "--amqp",
        amqp_url(rabbit),
        "--postgres",
        postgres_url(database),
        "--described",
        dumps(DESCRIPTION),
    ]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, *switches, cwd=ROOT, stdout=pipe)
    try:
        assert process.stdout
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        async with _client() as http:
            yield ConsumerUnderTest(http, line.decode().split()[-1], "/health/")
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        complaints, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert not complaints, complaints.decode()


def _client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE))


def amqp_url(rabbit: RabbitSettings) -> str:
    who = f"{quote(rabbit.user, safe='')}:{quote(rabbit.password, safe='')}"
    return f"amqp://{who}@{rabbit.host}:{rabbit.port}/{quote(rabbit.vhost, safe='')}"


def postgres_url(database: DatabaseSettings) -> str:
    place = urlencode({"host": database.host, "port": database.port})
    who = f"{quote(database.user, safe='')}:{quote(database.password, safe='')}"
    return f"postgresql://{who}@/{database.dbname}?{place}"


def body(name: str, mail: str) -> bytes:
    return dumps({"name": name, "mail": mail}, ensure_ascii=False).encode()


def people(count: int, first: int = 1) -> list[bytes]:
    return [body(f"Name {n}", f"{n}@example.com") for n in range(first, first + count)]


async def publish(
    rabbit: RabbitSettings,
    queue: str,
    bodies: Iterable[bytes],
    ids: Iterable[str | None] | None = None,
) -> None:
    """In the queue when it returns. `ids` as the contract has them unless given."""
    bodies = list(bodies)
    ids = [f"run:{n}" for n in range(1, len(bodies) + 1)] if ids is None else list(ids)
    async with connect(rabbit) as connection:
        channel = await connection.channel(publisher_confirms=False)
        for content, message_id in zip(bodies, ids, strict=True):
            # Frame by frame: basic_publish gives an id to every message that has none.
            properties = Basic.Properties(delivery_mode=2, message_id=message_id, app_id=OF_THE_TESTS)
            frames = [
                Basic.Publish(routing_key=queue),
                ContentHeader(body_size=len(content), properties=properties),
                *([ContentBody(content)] if content else []),
            ]
            await channel.write_queue.put(ChannelFrame.marshall(channel.number, frames))
        # Answered after everything before it was routed.
        await channel.queue_declare(queue, passive=True)


async def queue_exists(rabbit: RabbitSettings, queue: str) -> bool:
    async with connect(rabbit) as connection:
        channel = await connection.channel(publisher_confirms=False)
        try:
            await channel.queue_declare(queue, passive=True)
        except aiormq.exceptions.ChannelNotFoundEntity:
            return False
        return True


async def delete_queue(rabbit: RabbitSettings, queue: str) -> None:
    async with connect(rabbit) as connection:
        channel = await connection.channel(publisher_confirms=False)
        await channel.queue_delete(queue)


@asynccontextmanager
async def database_connection(database: DatabaseSettings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url(database), timeout=30)
    try:
        yield connection
    finally:
        await connection.close(timeout=30)


async def employees(database: DatabaseSettings) -> list[tuple[str, str]]:
    async with database_connection(database) as connection:
        return [(row["name"], row["mail"]) for row in await connection.fetch("SELECT * FROM employees ORDER BY id")]


class BrokerLine:
    """The line to a broker, which can be cut and put back. `settings` leads through it."""

    def __init__(self, rabbit: RabbitSettings) -> None:
        self._rabbit = rabbit
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0

    async def put_back(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def drop(self) -> None:
        """Resets every connection there is; new ones are let through."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def cut(self) -> None:
        """Resets every connection and refuses new ones."""
        assert self._server
        self._server.close()
        self.drop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection(self._rabbit.host, self._rabbit.port)
        both = {writer, far_writer}
        self._writers |= both
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._writers -= both
            for end in both:
                end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def line_to(rabbit: RabbitSettings) -> AsyncIterator[tuple[BrokerLine, RabbitSettings]]:
    line = BrokerLine(rabbit)
    await line.put_back()
    try:
        yield line, replace(rabbit, host="127.0.0.1", port=line.port)
    finally:
        await line.cut()
