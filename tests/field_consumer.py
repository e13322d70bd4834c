"""A double of the consumers in the field: what they really do, their failures at the flip of a switch.

A process of its own that shares nothing with promise_pub but, in tests, what its messages are said to be: `python -m tests.field_consumer --amqp URL --postgres DSN`
prints `listening on http://127.0.0.1:PORT` and serves until it is told to stop. Queues are non-durable and read with
auto-ack, rows are inserted and committed one at a time, complaints come with status 200 and plain text, `/remove/`
blocks while the session is processing, extensions are not known, and a broker away at `/create/` ends the process.

Each call takes a way to misbehave (`--create hang`): hang, 500, garbage (not JSON), error (the text ERROR), missing
(JSON without its keys), die (exit the process).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json import JSONDecodeError, loads
from typing import Any

import aiormq
import aiormq.exceptions
import asyncpg
from aiohttp import web

from tests.described_messages import Inspector, properties_of

NOT_YET = "0001-01-01T00:00:00Z"
CALLS = ("health", "create", "process", "remove", "getSession")
WAYS = ("hang", "500", "garbage", "error", "missing", "die")
EXIT_TOLD_TO_DIE = 3
EXIT_BROKER_AWAY = 1

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass
class FieldSession:
    uuid: str
    connection: aiormq.Connection
    channel: Any
    checksum: int = 0
    saved: int = 0
    started: str = field(default_factory=lambda: _now())
    ended: str = NOT_YET
    processing: asyncio.Task[None] | None = None

    def as_json(self, options: argparse.Namespace) -> dict[str, Any]:
        told = {
            "uuid": self.uuid,
            "started": self.started,
            "ended": self.ended,
            "host": socket.gethostname(),
        }
        if options.untold:
            return told
        return told | {
            "checksum": self.checksum,
            "saved": self.checksum if options.lie_saved else self.saved,
        }


class FieldConsumer:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.sessions: dict[str, FieldSession] = {}
        self.lost_mails: set[str] = set()
        self.pool: asyncpg.Pool
        self.inspector = Inspector(loads(options.described)) if options.described else None

    def app(self) -> web.Application:
        app = web.Application()
        for call, handler in zip(CALLS, (self.health, self.create, self.process, self.remove, self.get), strict=True):
            way = getattr(self.options, call.lower())
            app.router.add_get(f"/{call}/", _misbehaving(way) if way else handler)
        app.cleanup_ctx.append(self._opened)
        return app

    async def _opened(self, _: web.Application) -> Any:
        async with asyncpg.create_pool(self.options.postgres, min_size=1, max_size=4, timeout=10) as self.pool:
            yield
            for session in self.sessions.values():
                if session.processing:
                    session.processing.cancel()
                await session.connection.close(timeout=2)

    async def health(self, _: web.Request) -> web.Response:
        return web.Response(text="I am alive")

    async def create(self, _: web.Request) -> web.Response:
        try:
            connection = await aiormq.connect(self.options.amqp)
        except (OSError, aiormq.exceptions.AMQPError):
            os._exit(EXIT_BROKER_AWAY)
        channel = await connection.channel(publisher_confirms=False)
        session = FieldSession(str(uuid.uuid4()), connection, channel)
        await channel.queue_declare(session.uuid)
        self.sessions[session.uuid] = session
        return web.json_response(session.as_json(self.options))

    async def process(self, request: web.Request) -> web.Response:
        session = self._find(request)
        if isinstance(session, web.Response):
            return session
        try:
            timeout = int(request.query.get("timeout", "5"))
        except ValueError:
            return web.Response(text="ERROR")
        session.processing = asyncio.create_task(self._read(session, timeout))
        if request.query.get("mode") == "batch":
            await asyncio.wait({session.processing})
        return web.Response(text="OK")

    async def remove(self, request: web.Request) -> web.Response:
        session = self._find(request)
        if isinstance(session, web.Response):
            return web.Response(text="ERROR")
        if session.processing:
            await asyncio.wait({session.processing})
        try:
            await session.channel.queue_delete(session.uuid)
        except (OSError, RuntimeError, aiormq.exceptions.AMQPError):
            return web.Response(text="ERROR")
        del self.sessions[session.uuid]
        await session.connection.close()
        session.ended = _now()
        return web.json_response(session.as_json(self.options))

    async def get(self, request: web.Request) -> web.Response:
        session = self._find(request)
        return session if isinstance(session, web.Response) else web.json_response(session.as_json(self.options))

    def _find(self, request: web.Request) -> FieldSession | web.Response:
        asked = request.query.get("uuid")
        if not asked:
            return web.Response(text="Please supply a uuid")
        return self.sessions.get(asked) or web.Response(text="Not a valid uuid")

    async def _read(self, session: FieldSession, idle: int) -> None:
        """Until the queue has been empty for `idle` seconds."""
        arrived: asyncio.Queue[bytes] = asyncio.Queue()

        async def receive(message: Any) -> None:
            self._look(message)
            arrived.put_nowait(message.body)

        consuming = await session.channel.basic_consume(session.uuid, receive, no_ack=True)
        while True:
            try:
                body = await asyncio.wait_for(arrived.get(), idle or 0.05)
            except TimeoutError:
                if (await session.channel.queue_declare(session.uuid, passive=True)).message_count == 0:
                    break
                continue
            await self._take(session, body)
        await session.channel.basic_cancel(consuming.consumer_tag)
        while not arrived.empty():  # an empty queue may have its last messages on their way to here
            await self._take(session, arrived.get_nowait())

    async def _take(self, session: FieldSession, body: bytes) -> None:
        await self._save(session, body)
        if self.options.die_after and session.checksum >= self.options.die_after:
            os._exit(EXIT_TOLD_TO_DIE)
        if self.options.stall_after and session.checksum >= self.options.stall_after:
            await asyncio.Event().wait()

    def _look(self, message: Any) -> None:
        """Says which message is not as described."""
        if self.inspector:
            self.inspector.look(properties_of(message.header.properties), message.body)
            for fault in self.inspector.faults:
                sys.stdout.write(f"not as described: {fault}\n")
            self.inspector.faults.clear()

    async def _save(self, session: FieldSession, body: bytes) -> None:
        session.checksum += 1
        try:
            row = loads(body)
            name, mail = row["name"], row["mail"]
        except (JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
            return
        if await self._loses(mail):
            return
        try:
            await self.pool.execute("INSERT INTO employees (name, mail) VALUES ($1, $2)", name, mail)
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
            return
        session.saved += 1

    async def _loses(self, mail: str) -> bool:
        """Whether this row is one of those to lose: not a repeat, and a later repeat of it does not make up for it."""
        if mail in self.lost_mails:
            return True
        if len(self.lost_mails) >= self.options.lose:
            return False
        if await self.pool.fetchval("SELECT EXISTS (SELECT FROM employees WHERE mail = $1)", mail):
            return False
        self.lost_mails.add(mail)
        return True


def _misbehaving(way: str) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        if way == "hang":
            await asyncio.Event().wait()
        if way == "die":
            os._exit(EXIT_TOLD_TO_DIE)
        answers = {"500": "boom", "garbage": "<html>{not JSON", "error": "ERROR", "missing": "{}"}
        kind = "application/json" if way == "missing" else "text/plain"
        return web.Response(text=answers[way], status=500 if way == "500" else 200, content_type=kind)

    return handle


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A double of the consumers in the field.")
    parser.add_argument(
        "--port",
        type=int,
        default=int(os.environ.get("FIELD_CONSUMER_PORT", "0")),
        help="0: a free one",
    )
    parser.add_argument(
        "--amqp",
        default=os.environ.get("FIELD_CONSUMER_AMQP"),
        help="amqp://user:password@host:port/vhost",
    )
    parser.add_argument("--postgres", default=os.environ.get("FIELD_CONSUMER_POSTGRES"), help="postgresql://…")
    for call in CALLS:
        parser.add_argument(f"--{call.lower()}", choices=WAYS, help=f"how /{call}/ misbehaves")
    parser.add_argument(
        "--lose",
        type=int,
        default=0,
        metavar="N",
        help="receive but not save N rows that are no repeats",
    )
    parser.add_argument("--lie-saved", action="store_true", help="tell that all rows received were saved")
    parser.add_argument(
        "--stall-after",
        type=int,
        default=0,
        metavar="N",
        help="stop reading after N rows, but not processing",
    )
    parser.add_argument(
        "--die-after",
        type=int,
        default=0,
        metavar="N",
        help="end the process after N rows, with what was taken from the queue and not saved",
    )
    parser.add_argument("--described", metavar="JSON", help="what messages have to be, as /asyncapi.json tells it")
    parser.add_argument("--untold", action="store_true", help="tell neither checksum nor saved")
    options = parser.parse_args()
    if not (options.amqp and options.postgres):
        parser.error("--amqp and --postgres are needed, or FIELD_CONSUMER_AMQP and FIELD_CONSUMER_POSTGRES")
    return options


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    options = _options()
    runner = web.AppRunner(FieldConsumer(options).app(), access_log=None, shutdown_timeout=0.5)
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", options.port).start()
        sys.stdout.write(f"listening on http://127.0.0.1:{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
