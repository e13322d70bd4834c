"""The saver knows what was committed, whatever the connection says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from promise_pub import db
from promise_pub.consumer.rows import RowValues
from promise_pub.consumer.saver import Saved, Saver
from promise_pub.errors import SchemaMissing
from promise_pub.settings.model import DatabaseSettings
from tests.consumer_parts import database_connection, employees

ROWS = [RowValues(f"Name {n}", f"{n % 8}@x") for n in range(10)]


class BreakingPool:
    """A pool whose connection breaks once, before its first commit or after it.

    `number` replaces what the transaction is told to be called.
    """

    def __init__(self, pool: asyncpg.Pool, *, committed: bool) -> None:
        self.broke = False
        self.number: str | None = None
        self.committed = committed
        self._pool = pool

    @asynccontextmanager
    async def acquire(self, **_: Any) -> AsyncIterator[Any]:
        async with self._pool.acquire() as connection:
            yield BreakingConnection(connection, self)


class BreakingConnection:
    def __init__(self, connection: Any, pool: BreakingPool) -> None:
        self._pool = pool
        self._transaction = connection.transaction
        self._fetchrow, self.fetchval = connection.fetchrow, connection.fetchval

    async def fetchrow(self, *arguments: Any) -> dict[str, Any]:
        told = dict(await self._fetchrow(*arguments))
        return {**told, "transaction": self._pool.number or told["transaction"]}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        transaction = self._transaction()
        await transaction.start()
        yield
        breaks, self._pool.broke = not self._pool.broke, True
        if breaks and not self._pool.committed:
            await transaction.rollback()
        else:
            await transaction.commit()
        if breaks:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=2) as pool:
        yield pool


@pytest.mark.parametrize("committed", [True, False])
async def test_rows_whose_commit_was_not_answered_count_as_saved_once(
    pool: asyncpg.Pool, database: DatabaseSettings, committed: bool
) -> None:
    breaking: Any = BreakingPool(pool, committed=committed)
    assert await Saver(breaking).save(ROWS) == Saved(saved=8, refused=0)
    assert breaking.broke
    assert len(await employees(database)) == 8


OF_ANOTHER = "SELECT pg_current_xact_id()::text"
OF_NOBODY = "SELECT (pg_current_xact_id()::text::bigint + 1000)::text"


@pytest.mark.parametrize("number", [OF_ANOTHER, OF_NOBODY], ids=["another's", "nobody's"])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1]], ids=["ten", "one"])
async def test_a_number_that_the_database_forgot_when_it_was_killed_proves_nothing(
    pool: asyncpg.Pool, database: DatabaseSettings, number: str, rows: list[RowValues]
) -> None:
    """It was given to another, whose rows are committed, or to nobody yet: those of the batch are not there."""
    breaking: Any = BreakingPool(pool, committed=False)
    breaking.number = await pool.fetchval(number)
    assert await Saver(breaking).save(rows) == Saved(saved=min(len(rows), 8), refused=0)
    assert breaking.broke
    assert len(await employees(database)) == min(len(rows), 8)


async def test_of_a_mail_that_repeats_the_first_row_is_saved(pool: asyncpg.Pool, database: DatabaseSettings) -> None:
    await Saver(pool).save(ROWS)
    assert await Saver(pool).save(ROWS) == Saved(saved=0, refused=0)
    assert await employees(database) == [(row.name, row.mail) for row in ROWS[:8]]


async def test_every_row_can_be_refused(pool: asyncpg.Pool, database: DatabaseSettings) -> None:
    await pool.execute("ALTER TABLE employees ADD CHECK (false)")
    assert await Saver(pool).save(ROWS) == Saved(saved=0, refused=10)


async def test_a_check_says_that_the_table_is_missing(pool: asyncpg.Pool, database: DatabaseSettings) -> None:
    await Saver(pool).check()
    async with database_connection(database) as connection:
        await connection.execute("DROP TABLE employees")
    with pytest.raises(SchemaMissing):
        await Saver(pool).check()
