"""Advisory locks by which the servers on one database tell who lives, and whose turn it is.

They are held on a connection of their own. A lock lasts as long as the connection that took it, so a killed server
holds none. When the connection is lost while the server lives, it is opened anew, and the locks are taken again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

import asyncpg

from promise_pub.concurrency import cancel_tasks
from promise_pub.db import CONNECT_TIMEOUT, queries, translated
from promise_pub.errors import DatabaseError, DatabaseUnavailable
from promise_pub.retries import Backoff, Retries

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between checks of the connection
ANSWER_TIMEOUT = 5.0  # seconds for an answer of the database
RELEASE_TIMEOUT = 2.0  # seconds for a connection to be reset; after that it is closed
# Between tries for a lock that another server holds. A run's turn is given up after a minute without the database.
ACQUIRE = Backoff(first=0.2, longest=0.2, within=60.0, jitter=0.0)
RETAKE = replace(ACQUIRE, within=4.0)  # of this server's own locks: what held them may take a moment to end


class ServerLocks:
    """The locks of this server. Use it as an async context manager.

    `server` is its name in the ledger; a lock of that name is held while it lives. There is one turn for the whole
    database, whatever consumers its servers use: all of them save to its employees table, which a run may clear, and
    counts before and after.
    """

    def __init__(self, pool: asyncpg.Pool, backoff: Backoff = ACQUIRE, look_every: float = LOOK_EVERY) -> None:
        self.server = secrets.randbits(62)
        self._pool = pool
        self._backoff = backoff
        self._look_every = look_every
        self._sql = queries("locks")
        self._in_use = asyncio.Lock()
        self._connection: Any = None
        self._backend: tuple[int, datetime] | None = None
        self._lost: Callable[[], None] | None = None  # set while this server has the turn
        self._acquisitions = 0  # of the turn's lock on this connection, including those without an answer
        self._keeping: asyncio.Task[None] | None = None
        self._trouble: DatabaseError = DatabaseUnavailable()  # why there is no connection

    async def __aenter__(self) -> Self:
        await self._connect()
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeping:
            await cancel_tasks(self._keeping)
        await self._disconnect()

    async def is_dead(self, server: int | None) -> bool:
        """Returns True when the server of this name is gone; it cannot come back under this name."""
        if server is None:
            return True
        if server == self.server:
            return False
        async with self._exclusive_connection() as connection:
            dead = bool(await self._sql.lock_server(connection, server=server))
            if dead:
                await self._sql.unlock_server(connection, server=server)
            return dead

    @asynccontextmanager
    async def exclusive_turn(self, lost: Callable[[], None]) -> AsyncIterator[None]:
        """See `ports.RunLedger.exclusive_turn`. Raises DatabaseError when the database refuses, or stays away for a minute."""
        retries = Retries(self._backoff, lambda *_: None)  # the loop that keeps the connection logs its loss
        while True:
            try:
                async with self._exclusive_connection() as connection:
                    self._acquisitions += 1  # before the answer, which may be lost
                    if await self._sql.lock_turn(connection):
                        break
                    self._acquisitions -= 1
            except DatabaseError as error:
                await retries.wait(error)
            else:
                retries.reset()
                await asyncio.sleep(self._backoff.first)
        self._lost = lost
        try:
            yield
        finally:
            self._lost = None
            with suppress(DatabaseError):  # then the lock is gone with its connection
                async with self._exclusive_connection() as connection:
                    await self._release_turn(connection)

    async def _release_turn(self, connection: Any) -> None:
        """Releases the turn's lock as often as this connection may hold it."""
        while self._acquisitions:
            await self._sql.unlock_turn(connection)
            self._acquisitions -= 1

    @asynccontextmanager
    async def _exclusive_connection(self) -> AsyncIterator[Any]:
        """Yields the connection, for one statement at a time. Raises DatabaseError when it is lost or does not answer."""
        async with self._in_use:
            if self._connection is None:
                raise self._trouble.with_traceback(None)  # the traceback would grow each time
            with translated():
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    yield self._connection

    async def _keep(self) -> None:
        unforeseen: type[Exception] | None = None
        while True:
            hurry = self._connection is None and self._trouble.passes
            await asyncio.sleep(self._backoff.first if hurry else self._look_every)
            try:
                if self._connection is None:
                    await self._connect()
                    log.info("The connection to the database is back")
                    unforeseen = None
                async with self._exclusive_connection() as connection:
                    await self._sql.still_there(connection)
                    if self._lost is None:  # a cancellation may have left the turn locked
                        await self._release_turn(connection)
            except DatabaseError as error:
                if self._connection:  # once an outage
                    log.warning("The connection to the database was lost: %s", error.message)
                self._trouble = error
                await self._disconnect()
            except Exception as error:
                if unforeseen is not type(error):
                    log.exception("The locks of this server could not be kept; trying again")
                unforeseen = type(error)
                await self._disconnect()

    async def _connect(self) -> None:
        with translated():
            connection = await self._pool.acquire(timeout=CONNECT_TIMEOUT)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await self._lock(connection)
            except BaseException:
                await self._pool.release(connection, timeout=RELEASE_TIMEOUT)
                raise
        self._connection = connection

    async def _lock(self, connection: Any) -> None:
        if self._backend:  # cut off from this server, it may still hold the locks
            pid, started = self._backend
            await self._sql.end_backend(connection, pid=pid, started=started)
        backend = await self._sql.own_backend(connection)
        delays = RETAKE.delays()
        while not await self._sql.lock_server(connection, server=self.server):
            if not (delay := next(delays, None)):
                raise DatabaseUnavailable("The lock of this server is held by another connection.")
            await asyncio.sleep(delay)
        self._backend = backend["pid"], backend["started"]
        if self._lost:
            await self._lock_turn_again(connection)

    async def _lock_turn_again(self, connection: Any) -> None:
        self._acquisitions = 1
        if not await self._sql.lock_turn(connection):
            self._acquisitions = 0
            log.error("Another server has the turn now: the current run stops")
            if self._lost:  # the turn may have ended meanwhile
                self._lost()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._acquisitions = 0
        if connection is not None:
            with suppress(Exception):  # broken, or reset and back in the pool: its locks are gone either way
                await self._pool.release(connection, timeout=RELEASE_TIMEOUT)
