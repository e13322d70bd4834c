"""Everything on ::1: addresses with colons in them, wherever one is configured, asked or printed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from promise_pub.local.postgres_home import SOCKET_NAME
from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, RabbitSettings, ServerSettings, Settings
from tests.services import StartCommand
from tests.web_parts import client

LOOPBACK = "::1"
JSON = {"Accept": "application/json"}
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _there_is_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as one:
        one.bind((LOOPBACK, 0))
        return True
    return False


pytestmark = pytest.mark.skipif(not _there_is_ipv6(), reason="this machine has no IPv6")


@asynccontextmanager
async def also_at_ipv6(open_far: Callable[[], Awaitable[Streams]]) -> AsyncIterator[int]:
    """A port on ::1 that leads to a service which does not listen there."""
    tasks = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        far_reader, far_writer = await open_far()
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                end.transport.abort()

    server = await asyncio.start_server(carry, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture
async def at_ipv6(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Settings]:
    async def open_broker() -> Streams:
        return await asyncio.open_connection(rabbit.host, rabbit.port)

    async def open_database() -> Streams:
        return await asyncio.open_unix_connection(f"{database.host}/{SOCKET_NAME}")

    async with (
        also_at_ipv6(open_broker) as broker_port,
        also_at_ipv6(open_database) as database_port,
    ):
        yield Settings(
            server=ServerSettings(host=LOOPBACK, port=0, uploads=tmp_path / "uploads"),
            rabbit=replace(rabbit, host=LOOPBACK, port=broker_port),
            consumer=ConsumerSettings(host=LOOPBACK, port=0),
            database=replace(database, host=LOOPBACK, port=database_port),
        )


async def test_a_run_where_everything_is_reached_by_ipv6(
    at_ipv6: Settings, settings_file: Callable[[Settings], Path], start_process: StartCommand
) -> None:
    consumer = await start_process("consumer", "-c", settings_file(at_ipv6))
    port = int((await consumer.wait_for(r"^listening on http://\[::1\]:(\d+)$"))[1])
    settings = replace(at_ipv6, consumer=ConsumerSettings(host=LOOPBACK, port=port))
    server = await start_process("serve", "-c", settings_file(settings))
    url = (await server.wait_for(r"^promise-pub \S+ on (http://\[::1\]:\d+)$"))[1]
    async with client() as http:
        async with http.get(f"{url}/readyz") as answer:
            assert (answer.status, (await answer.json())["ready"]) == (200, True)
        headers = JSON | {"Content-Type": "text/csv"}
        query = "?mode=batch&timeout=0"
        async with http.post(f"{url}/simulate/{query}", data=b"Ann,ann@x\n", headers=headers) as answer:
            run = await answer.json()
    assert (run["state"], run["verdict"], run["db_count"]) == ("completed", "kept", 1)
    assert await server.stop() == 0
    assert await consumer.stop() == 0


async def test_who_is_away_is_named_with_brackets(
    at_ipv6: Settings, settings_file: Callable[[Settings], Path], start_process: StartCommand
) -> None:
    broker = replace(at_ipv6.rabbit, port=1)
    settings = replace(at_ipv6, rabbit=broker, consumer=ConsumerSettings(host=LOOPBACK, port=1, connect_timeout=1))
    server = await start_process("serve", "-c", settings_file(settings))
    url = (await server.wait_for(r"^promise-pub \S+ on (http://\[::1\]:\d+)$"))[1]
    async with client() as http, http.get(f"{url}/readyz") as answer:
        told = await answer.json()
    assert answer.status == 503 and told["database"] == {"ready": True}
    for part in ("broker", "consumer"):
        assert "[::1]:1 " in told[part]["error"]
    taken = replace(settings, server=replace(settings.server, port=int(url.rpartition(":")[2])))
    second = await start_process("serve", "-c", settings_file(taken))
    assert await second.finish() == 1
    assert f"Cannot listen on [::1]:{taken.server.port}: " in second.output
    assert await server.stop() == 0
