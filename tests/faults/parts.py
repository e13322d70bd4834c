"""The parts that can be killed and started again: the broker, the database, and promise-pub's own processes."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from promise_pub.local.postgres import Postgres
from promise_pub.local.processes import ProcessRecords
from promise_pub.local.rabbitmq import RabbitNode
from promise_pub.local.state_folder import recognise
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.services import RunningCommand, control

PATIENCE = 90.0  # seconds after which something that was waited for has not come
# The machine does not crash here, only processes do: what was written is there, synced or not.
_UNSYNCED = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}
_QUEUES = """
[{binary_to_list(element(4, amqqueue:get_name(Q))), Count} ||
    Q <- rabbit_amqqueue:list(), [{%s, Count}] <- [catch rabbit_amqqueue:info(Q, [%s])]].
"""
_QUEUE = re.compile(r'\{"([^"]+)", (\d+)\}')
_ALARMS = {
    "memory": (
        "vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1}).",
        "vm_memory_monitor:set_vm_memory_high_watermark(0.4).",
    ),
    "disk": (
        'rabbit_disk_monitor:set_disk_free_limit("999999GB").',
        'rabbit_disk_monitor:set_disk_free_limit("50MB").',
    ),
}


def quiet(_: str) -> None:
    """The tests' output is pytest's."""


class BrokerPart:
    """RabbitMQ. Its port changes with each start, and the lines know."""

    def __init__(self, folder: Path) -> None:
        self._node = RabbitNode(recognise(folder), ProcessRecords(folder / "rabbitmq.json"))
        self.settings: RabbitSettings
        self.alive = False

    async def start(self) -> None:
        self.settings = await self._node.start(quiet, quiet)
        self.alive = True

    async def kill(self) -> None:
        self.alive = False
        await _kill(self._node._parts[-1].process.pid)
        await self._node.stop()

    async def stop(self) -> None:
        await self._node.stop()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.settings.host, self.settings.port)

    async def control(self, expression: str) -> str:
        """What an Erlang expression comes to in the node: rabbitmqctl's `eval`, without the seconds it takes to start."""
        return await control(self._node, expression)

    async def queues(self) -> dict[str, int]:
        """Those there are, and how many read them."""
        return await self._count("consumers")

    async def messages(self, which: str = "messages") -> dict[str, int]:
        """How many each queue holds: ready, and delivered but not acknowledged; `which` names one kind of them."""
        return await self._count(which)

    async def _count(self, item: str) -> dict[str, int]:
        told = await self.control((_QUEUES % (item, item)).strip())
        return {name: int(count) for name, count in _QUEUE.findall(told)}

    @asynccontextmanager
    async def alarmed(self, kind: str = "memory") -> AsyncIterator[None]:
        """It takes nothing more from publishers meanwhile. A node that was killed forgets its alarm."""
        on, off = _ALARMS[kind]
        await self.control(on)
        try:
            yield
        finally:
            if self.alive:
                await self.control(off)


class DatabasePart:
    """PostgreSQL, on its Unix socket; a line in front of it speaks TCP."""

    def __init__(self, folder: Path) -> None:
        self._server = Postgres(recognise(folder), ProcessRecords(folder / "postgresql.json"), _UNSYNCED)
        self.settings: DatabaseSettings

    async def start(self) -> None:
        self.settings = await self._server.start(quiet, quiet)

    async def kill(self) -> None:
        await _kill(self._server._parts[-1].process.pid)
        await self._server.stop()

    async def stop(self) -> None:
        await self._server.stop()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(f"{self.settings.host}/.s.PGSQL.5432")

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Asked directly, past every line."""
        connection = await asyncpg.connect(
            host=self.settings.host,
            user=self.settings.user,
            password=self.settings.password,
            database=self.settings.dbname,
            timeout=30,
        )
        try:
            return list(await connection.fetch(statement, *arguments, timeout=30))
        finally:
            await connection.close(timeout=30)


class CommandPart:
    """The server or the consumer: a promise-pub process on a port that stays."""

    def __init__(self, start: Callable[[], Any], ready: str) -> None:
        self._start = start
        self._ready = ready
        self.command: RunningCommand | None = None
        self.program: tuple[str, ...] | None = None  # another way to start it, arguments and all
        self.environment: dict[str, str] = {}

    async def start(self) -> None:
        self.command = await self._start()
        await self.command.wait_for(self._ready, PATIENCE)

    @property
    def output(self) -> str:
        return self.command.output if self.command else ""

    async def kill(self) -> None:
        assert self.command
        await self.command.kill()
        await self.command.clean_up()
        self.command = None

    async def died(self) -> int:
        """By itself; its exit code."""
        assert self.command
        command, self.command = self.command, None
        return await command.finish(PATIENCE)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Told to stop; its exit code."""
        assert self.command
        command, self.command = self.command, None
        return await command.stop(number)

    async def clean_up(self) -> None:
        if self.command:
            await self.command.clean_up()


async def _kill(pid: int) -> None:
    """The process and all that it started."""
    process = psutil.Process(pid)
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            each.kill()
