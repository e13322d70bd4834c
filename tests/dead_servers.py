"""Servers within the tests' process that die."""

from __future__ import annotations

import asyncpg

from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.settings.model import DatabaseSettings
from tests.consumer_parts import database_connection
from tests.web_parts import until


async def cut_off(database: DatabaseSettings, pool: asyncpg.Pool, locks: ServerLocks) -> None:
    """Ends the connections of a server as its death would, without a word, and waits until the database has noticed."""
    assert locks._keeping and locks._backend
    pid = locks._backend[0]
    locks._keeping.cancel()
    pool.terminate()
    async with database_connection(database) as connection:

        async def is_gone() -> bool:
            return not await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid)

        await until(is_gone)
