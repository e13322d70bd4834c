"""What the benchmarks start: their own RabbitMQ and PostgreSQL, consumers and servers as processes. Nothing stays."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from promise_pub import db
from promise_pub.local.parts import start_part
from promise_pub.local.postgres import Postgres
from promise_pub.local.postgres_home import PLACES_VARIABLE
from promise_pub.local.processes import ProcessRecords
from promise_pub.local.rabbitmq import RabbitNode
from promise_pub.local.state_folder import recognise
from promise_pub.settings import inifile
from promise_pub.settings.model import (
    ENVIRONMENT_PREFIX,
    ConsumerSettings,
    DatabaseSettings,
    RabbitSettings,
    ServerSettings,
    Settings,
)
from tests.consumer_parts import amqp_url, postgres_url

ROOT = Path(__file__).parents[1]
START_TIMEOUT = 30.0  # seconds until a process listens
HELD_BY_NOBODY = 0  # a port to listen on
_LISTENING = re.compile(rb"on (http://127\.0\.0\.1:\d+)")


class NotMeasured(Exception):
    """Something that was to be measured failed; the message says what and why."""


@dataclass(frozen=True)
class Listening:
    """A process that serves HTTP."""

    url: str
    pid: int

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def processor(self) -> float:
        """Seconds of processor it has used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def peak_memory(self) -> float:
        """Its highest resident memory so far, in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
        found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        if not found:
            raise NotMeasured("The kernel does not tell peak memory (VmHWM).")
        return int(found[1]) * 1024 / 1e6


class Services:
    """The broker, the database server and the folder of one run of the benchmarks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = ProcessRecords(folder / "processes.json")
        self.versions: dict[str, str] = {}
        self.rabbit: RabbitSettings
        self._database: DatabaseSettings

    @property
    def database_log(self) -> Path:
        """The log of the database server."""
        return self.folder / "services" / "postgresql.log"

    @asynccontextmanager
    async def database(self) -> AsyncIterator[DatabaseSettings]:
        """A fresh database with the scheme applied, gone after the block."""
        name = f"bench_{uuid.uuid4().hex}"
        await self._execute(f"CREATE DATABASE {name}")
        try:
            settings = replace(self._database, dbname=name)
            async with db.open_pool(settings, max_size=1) as pool:
                await db.apply_scheme(pool)
            yield settings
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        server = replace(self._database, dbname="postgres")
        connection = await asyncpg.connect(**await db.connection_arguments(server))
        try:
            await connection.execute(statement, timeout=60)
        finally:
            await connection.close(timeout=5)

    @asynccontextmanager
    async def server(
        self,
        consumer: ConsumerSettings,
        database: DatabaseSettings,
        features: Mapping[str, Any] | None = None,
        plugins: Path | None = None,
        **options: Any,
    ) -> AsyncIterator[Listening]:
        """`python main.py` as a process of its own, with an empty uploads folder, these sections of features, these options
        of `[server]`, and packages installed in a folder of plugins."""
        uploads = self.folder / f"uploads-{uuid.uuid4().hex[:8]}"
        server = ServerSettings(port=HELD_BY_NOBODY, uploads=uploads, **options)
        settings = Settings(
            server=server, rabbit=self.rabbit, consumer=consumer, database=database, features=features or {}
        )
        try:
            with self._configuration(settings) as file:
                installed = {"PYTHONPATH": str(plugins)} if plugins else {}
                async with self.listening("main.py", "-c", file, **installed) as process:
                    yield process
        finally:
            shutil.rmtree(uploads, ignore_errors=True)

    @asynccontextmanager
    async def counting_consumer(self, *options: str) -> AsyncIterator[ConsumerSettings]:
        with self._configuration(self._for_consumer(self._database)) as file:
            program = ("-m", "benchmarks.counting_consumer")
            async with self.listening(*program, file, *options) as process:
                yield ConsumerSettings(host="127.0.0.1", port=process.port)

    @asynccontextmanager
    async def bundled_consumer(self, database: DatabaseSettings) -> AsyncIterator[ConsumerSettings]:
        with self._configuration(self._for_consumer(database)) as file:
            async with self.listening("-m", "promise_pub", "consumer", "-c", file) as process:
                yield ConsumerSettings(host="127.0.0.1", port=process.port)

    @asynccontextmanager
    async def one_row_consumer(self, database: DatabaseSettings) -> AsyncIterator[ConsumerSettings]:
        """The double of the consumers in the field: one row, one INSERT, one commit."""
        places = ("--amqp", amqp_url(self.rabbit), "--postgres", postgres_url(database))
        async with self.listening("-m", "tests.field_consumer", *places) as process:
            yield ConsumerSettings(host="127.0.0.1", port=process.port, healthcheck_url="/health/")

    def _for_consumer(self, database: DatabaseSettings) -> Settings:
        consumer = ConsumerSettings(host="127.0.0.1", port=HELD_BY_NOBODY)
        return Settings(server=ServerSettings(), rabbit=self.rabbit, consumer=consumer, database=database)

    @contextmanager
    def for_commands(self, database: DatabaseSettings) -> Iterator[Path]:
        """The configuration of a command that asks the database alone."""
        with self._configuration(self._for_consumer(database)) as file:
            yield file

    @contextmanager
    def _configuration(self, settings: Settings) -> Iterator[Path]:
        file = self.folder / f"{uuid.uuid4().hex[:8]}.ini"
        inifile.write(file, settings)
        yield file
        file.unlink()

    @asynccontextmanager
    async def listening(self, *arguments: str | Path, **environment: str) -> AsyncIterator[Listening]:
        """A Python program that prints where it listens; stopped with the block."""
        part = await start_part(
            " ".join(map(str, arguments[:2])),
            [sys.executable, *arguments],
            log=self.folder / f"{uuid.uuid4().hex[:8]}.log",
            records=self.records,
            environment={**_environment(), **environment},
            cwd=ROOT,
            piped=True,
        )
        try:
            found = await part.wait_for_line(_LISTENING, START_TIMEOUT)
            yield Listening(found[1].decode(), part.process.pid)
        finally:
            await part.stop()


def _environment() -> dict[str, str]:
    """Ours, without what would configure the programs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith((ENVIRONMENT_PREFIX, "XDG_"))}
    return {**kept, "PYTHONUNBUFFERED": "1"}


@asynccontextmanager
async def services(say: Callable[[str], None]) -> AsyncIterator[Services]:
    """Everything in one private folder, which goes with the block."""
    folder = _private_folder()
    try:
        async with _started(folder, folder / "services", say) as started:
            yield started
    finally:
        shutil.rmtree(folder)


def _private_folder() -> Path:
    """As root, PostgreSQL runs as nobody and has to pass."""
    folder = Path(tempfile.mkdtemp(prefix="promise-pub-bench-"))
    folder.chmod(0o711)
    (folder / "services").mkdir(mode=0o700)
    places = folder / "places"
    places.mkdir()
    places.chmod(0o711)
    os.environ[PLACES_VARIABLE] = str(places)
    return folder


@asynccontextmanager
async def _started(folder: Path, state: Path, say: Callable[[str], None]) -> AsyncIterator[Services]:
    made = Services(folder)
    async with AsyncExitStack() as stack:
        here = recognise(state)
        postgres, node = Postgres(here, made.records), RabbitNode(here, made.records)
        stack.push_async_callback(postgres.stop)
        stack.push_async_callback(node.stop)
        made._database = await postgres.start(say, say)
        made.rabbit = await node.start(say, say)
        made.versions = {"RabbitMQ": node.version, "PostgreSQL": postgres.version}
        yield made
