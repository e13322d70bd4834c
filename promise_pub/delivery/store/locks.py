"""Which server does what, among all on one database: advisory locks on a connection of their own.

A lock lasts as long as the connection that took it, so a server that was killed holds none. When the connection is
lost while the server lives, it is opened anew, and the locks are taken again.
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

LOOK_EVERY = 1.0  # seconds between looks whether the connection is still there
ANSWER_TIMEOUT = 5.0  # seconds for the database to say so
RELEASE_TIMEOUT = 2.0  # seconds for a connection to be as it was: what does not answer is closed
# Between tries for a lock that another holds; a run's turn is given up after a minute without the database.
ACQUIRE = Backoff(first=0.2, longest=0.2, within=60.0, jitter=0.0)
RETAKE = replace(ACQUIRE, within=4.0)  # of our own locks: what held them may take a moment to go


class Claim:
    """This server's claims. Use it as an async context manager.

    `server` is its name in the ledger: a lock of that name is held while it lives. The turn is one for the whole
    database, whatever consumers its servers talk to: all of these save to its employees, which a run may clear, and
    counts before it and after.
    """

    def __init__(self, pool: asyncpg.Pool, backoff: Backoff = ACQUIRE, look_every: float = LOOK_EVERY) -> None:
        self.server = secrets.randbits(62)
        self._pool = pool
        self._backoff = backoff
        self._look_every = look_every
        self._sql = queries("claims")
        self._asking = asyncio.Lock()
        self._connection: Any = None
        self._backend: tuple[int, datetime] | None = None
        self._lost: Callable[[], None] | None = None  # set while the turn is ours
        self._tries = 0  # for the turn's lock, on this connection, that may have got it
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
        """Whether the server of this name is gone; it cannot come back under it."""
        if server is None:
            return True
        if server == self.server:
            return False
        async with self._asked() as connection:
            dead = bool(await self._sql.lock_server(connection, server=server))
            if dead:
                await self._sql.unlock_server(connection, server=server)
            return dead

    @asynccontextmanager
    async def turn(self, lost: Callable[[], None]) -> AsyncIterator[None]:
        """See `ports.Ledger.turn`. Raises DatabaseError when the database refuses, or stays away for a minute."""
        retries = Retries(self._backoff, lambda *_: None)  # the loop that keeps the connection logs its loss
        while True:
            try:
                async with self._asked() as connection:
                    self._tries += 1  # without an answer nobody knows
                    if await self._sql.lock_turn(connection):
                        break
                    self._tries -= 1
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
                async with self._asked() as connection:
                    await self._free(connection)

    async def _free(self, connection: Any) -> None:
        """Gives the turn's lock back: a connection may hold it several times."""
        while self._tries:
            await self._sql.unlock_turn(connection)
            self._tries -= 1

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[Any]:
        """The connection, for one question at a time."""
        async with self._asking:
            if self._connection is None:
                raise self._trouble.with_traceback(None)  # which would grow each time
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
                async with self._asked() as connection:
                    await self._sql.still_there(connection)
                    if self._lost is None:  # nobody's turn, so a cancellation left it locked
                        await self._free(connection)
            except DatabaseError as error:
                if self._connection:  # once an outage
                    log.warning("The connection to the database was lost: %s", error.message)
                self._trouble = error
                await self._disconnect()
            except Exception as error:
                if unforeseen is not type(error):
                    log.exception("The claims of this server could not be kept; trying again")
                unforeseen = type(error)
                await self._disconnect()

    async def _connect(self) -> None:
        with translated():
            connection = await self._pool.acquire(timeout=CONNECT_TIMEOUT)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await self._take(connection)
            except BaseException:
                await self._pool.release(connection, timeout=RELEASE_TIMEOUT)
                raise
        self._connection = connection

    async def _take(self, connection: Any) -> None:
        if self._backend:  # it may still hold our locks, cut off from us
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
            await self._take_turn_again(connection)

    async def _take_turn_again(self, connection: Any) -> None:
        self._tries = 1
        if not await self._sql.lock_turn(connection):
            self._tries = 0
            log.error("Another server has the turn now: the run that is going here stops")
            if self._lost:  # the turn may have ended meanwhile
                self._lost()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._tries = 0
        if connection is not None:
            with suppress(Exception):  # broken, or reset and back in the pool: its locks are gone either way
                await self._pool.release(connection, timeout=RELEASE_TIMEOUT)
