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
    assert await Saver(breaking).save(ROWS) == Saved(8, ROWS[8:])
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
    done = await Saver(breaking).save(rows)
    assert (done.saved, list(done.existing or ())) == (min(len(rows), 8), rows[8:])
    assert breaking.broke
    assert len(await employees(database)) == min(len(rows), 8)


async def test_of_a_mail_that_repeats_the_first_row_is_saved(pool: asyncpg.Pool, database: DatabaseSettings) -> None:
    assert await Saver(pool).save(ROWS) == Saved(8, ROWS[8:])
    assert await Saver(pool).save(ROWS) == Saved(0, ROWS)
    assert await employees(database) == [(row.name, row.mail) for row in ROWS[:8]]


async def test_every_row_can_be_refused(pool: asyncpg.Pool, database: DatabaseSettings) -> None:
    await pool.execute("ALTER TABLE employees ADD CHECK (false)")
    assert await Saver(pool).save(ROWS) == Saved(0, [], ROWS)


async def test_all_saved_means_that_none_existed(pool: asyncpg.Pool) -> None:
    assert await Saver(pool).save(ROWS[:8]) == Saved(8)


async def test_rows_that_existed_are_told_apart_from_those_saved(pool: asyncpg.Pool) -> None:
    await Saver(pool).save(ROWS[2:4])
    again = [RowValues("Name 0", "0@x", 11), RowValues("Another", "0@x", 12)]
    assert await Saver(pool).save([*ROWS, *again]) == Saved(6, [*ROWS[2:4], *ROWS[8:], *again])


async def test_a_refused_row_does_not_hide_which_others_existed(pool: asyncpg.Pool) -> None:
    await pool.execute("ALTER TABLE employees ADD CHECK (name <> 'Name 5')")
    await Saver(pool).save(ROWS[:2])
    assert await Saver(pool).save(ROWS) == Saved(5, [*ROWS[:2], *ROWS[8:]], [ROWS[5]])


async def test_where_names_are_unique_too_the_saved_row_is_the_one_with_both(pool: asyncpg.Pool) -> None:
    await pool.execute("ALTER TABLE employees ADD UNIQUE (name)")
    await Saver(pool).save([RowValues("Ann", "ann@x")])
    taken, saved = RowValues("Ann", "new@x", 1), RowValues("Bob", "new@x", 2)
    assert await Saver(pool).save([taken, saved]) == Saved(1, [taken])


CHANGES_WHAT_IS_SAVED = """
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.mail = upper(NEW.mail); RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT ON employees FOR EACH ROW EXECUTE FUNCTION shout()
"""


async def test_where_a_trigger_changes_rows_nobody_guesses_which_were_saved(pool: asyncpg.Pool) -> None:
    await pool.execute(CHANGES_WHAT_IS_SAVED)
    assert await Saver(pool).save(ROWS) == Saved(8, None)


async def test_a_check_says_that_the_table_is_missing(pool: asyncpg.Pool, database: DatabaseSettings) -> None:
    await Saver(pool).check()
    async with database_connection(database) as connection:
        await connection.execute("DROP TABLE employees")
    with pytest.raises(SchemaMissing):
        await Saver(pool).check()
