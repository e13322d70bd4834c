"""What a database lacks is said before anything is started on it, with what cures it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from promise_pub import db
from promise_pub.accounts import store as accounts
from promise_pub.consumer import saver
from promise_pub.db_checks import (
    Need,
    require_columns,
    require_fit,
    require_needs,
    require_usable,
    scheme_columns,
)
from promise_pub.delivery.store import ledger
from promise_pub.errors import (
    DatabaseError,
    DatabaseNotUtf8,
    DatabaseReadOnly,
    DatabaseTooOld,
    DatabaseUnfit,
    RightsMissing,
    SchemaMissing,
)
from promise_pub.settings.model import DatabaseSettings
from tests.command_parts import configured, run
from tests.roles import FEATURE_NEEDS, role_with
from tests.services import BackgroundLoop, execute

FIT = {
    "database": "d",
    "role": "r",
    "version": "13.0",
    "major": 13,
    "encoding": "UTF8",
    "standby": False,
    "read_only": False,
}
SERVER = (*ledger.NEEDS, *accounts.NEEDS, *FEATURE_NEEDS)


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=2) as pool:
        yield pool


@pytest.mark.parametrize(
    ("facts", "kind", "words"),
    [
        ({"major": 12, "version": "12.4"}, DatabaseTooOld, "on PostgreSQL 12.4: .* needs 13 or"),
        ({"encoding": "LATIN1"}, DatabaseNotUtf8, "is in LATIN1; it must be UTF8. .*createdb -E"),
        ({"encoding": "SQL_ASCII"}, DatabaseNotUtf8, "is in SQL_ASCII"),
        ({"standby": True, "read_only": True}, DatabaseReadOnly, "standby: .* to the primary"),
        ({"read_only": True}, DatabaseReadOnly, "for the role r: switch default_transaction_read"),
    ],
)
def test_an_unfit_database_is_named_with_the_cure(facts: dict[str, Any], kind: type[DatabaseUnfit], words: str) -> None:
    with pytest.raises(kind, match=words):
        require_fit({**FIT, **facts})
    require_fit(FIT)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_every_service_says_at_once_that_a_database_is_not_in_utf8(
    services_loop: BackgroundLoop,
    database: DatabaseSettings,
    tmp_path: Path,
    encoding: str,
) -> None:
    name = f"other_{uuid.uuid4().hex}"
    services_loop.run(
        execute(
            database,
            f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0",
        )
    )
    there = configured(tmp_path / "other.ini", replace(database, dbname=name))
    try:
        for service in (("schema", "--apply"), ("serve",), ("consumer",)):
            said = await run(there, *service)
            assert said.code == 1 and said.err.count("\n") == 1
            assert f"The database {name} is in {encoding}; it must be UTF8." in said.err
    finally:
        services_loop.run(execute(database, f"DROP DATABASE {name} WITH (FORCE)"))


async def test_a_database_that_fits_is_usable(pool: asyncpg.Pool) -> None:
    await require_usable(pool)
    await require_needs(pool, (*SERVER, *saver.NEEDS), makes_tables=True)


async def test_a_database_that_is_read_only_is_refused_at_the_start_and_told_later(
    pool: asyncpg.Pool, database: DatabaseSettings
) -> None:
    await pool.execute(f"ALTER DATABASE {database.dbname} SET default_transaction_read_only = on")
    async with db.open_pool(database, max_size=2) as later:
        with pytest.raises(DatabaseReadOnly, match="default_transaction_read_only"):
            await require_usable(later)
        with pytest.raises(DatabaseReadOnly), db.translated():
            await later.execute("DELETE FROM runs")


def test_the_scheme_is_ascii_so_that_a_database_in_any_encoding_can_read_it() -> None:
    assert db.scheme().isascii()


async def test_the_columns_of_the_scheme_are_those_of_its_tables(pool: asyncpg.Pool) -> None:
    rows = await pool.fetch(
        "SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position) AS columns "
        "FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name"
    )
    assert scheme_columns() == {row["table_name"]: tuple(row["columns"]) for row in rows}


@pytest.mark.parametrize("table", [*scheme_columns()])
async def test_a_table_that_is_missing_is_named(pool: asyncpg.Pool, database: DatabaseSettings, table: str) -> None:
    await pool.execute(f"DROP TABLE {table} CASCADE")
    with pytest.raises(SchemaMissing, match=f"lacks the table {table}: .* schema --apply"):
        await require_needs(pool, SERVER)
    await db.apply_scheme(pool)
    await require_needs(pool, SERVER)


async def test_a_column_that_is_missing_is_named_and_one_that_goes_later_tells_the_same_cure(
    pool: asyncpg.Pool,
) -> None:
    await pool.execute("ALTER TABLE runs DROP COLUMN going")
    with pytest.raises(SchemaMissing, match="runs is of an older .* column going: .* --apply"):
        await require_columns(pool, ledger.NEEDS)
    with pytest.raises(SchemaMissing, match="columns.* schema --apply"), db.translated():
        await pool.execute("SELECT going FROM runs")


async def test_a_database_that_cannot_write_to_its_disk_is_not_ready(
    pool: asyncpg.Pool, database: DatabaseSettings
) -> None:
    """A limit of zero bytes stands for a full disk: both refuse the first block of a temporary file."""
    await ledger.Ledger(pool).check()
    await execute(database, f"ALTER DATABASE {database.dbname} SET temp_file_limit = 0")
    async with db.open_pool(database, max_size=1) as full:
        with pytest.raises(DatabaseError, match="temporary file"):
            await ledger.Ledger(full).check()


async def test_employees_of_another_shape_are_not_cured_by_the_scheme(pool: asyncpg.Pool) -> None:
    await pool.execute("ALTER TABLE employees DROP COLUMN id")
    await require_columns(pool, saver.NEEDS)
    with pytest.raises(SchemaMissing, match="employees lacks the column id, and promise-pub does not change"):
        await require_columns(pool, ledger.NEEDS)


@pytest.mark.parametrize("needs", [SERVER, saver.NEEDS], ids=["server", "consumer"])
async def test_each_right_that_is_missing_is_named_with_its_grant(
    pool: asyncpg.Pool, database: DatabaseSettings, needs: tuple[Need, ...]
) -> None:
    async with (
        role_with(pool, database, needs) as lent,
        db.open_pool(lent, max_size=1) as theirs,
    ):
        await require_needs(theirs, needs, makes_tables=True)
        for need in needs:
            for right in need.rights.split():
                await pool.execute(f"REVOKE {right} ON {need.table} FROM {lent.user}")
                with pytest.raises(RightsMissing, match=f": GRANT {right} ON {need.table} TO {lent.user};$"):
                    await require_needs(theirs, needs)
                await pool.execute(f"GRANT {right} ON {need.table} TO {lent.user}")
        await require_needs(theirs, needs)


async def test_the_grants_that_are_named_are_all_it_takes(pool: asyncpg.Pool, database: DatabaseSettings) -> None:
    needs = (*SERVER, *saver.NEEDS)
    await pool.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    await pool.execute(f"REVOKE TEMPORARY ON DATABASE {database.dbname} FROM PUBLIC")
    async with (
        role_with(pool, database) as lent,
        db.open_pool(lent, max_size=1) as theirs,
    ):
        told = []
        for _ in range(2):  # what a schema hides is seen once that is shown
            with pytest.raises(RightsMissing) as caught:
                await require_needs(theirs, needs, makes_tables=True)
            told.append(caught.value.message.partition(": ")[2])
            await pool.execute(told[-1])
        await require_needs(theirs, needs, makes_tables=True)
    assert told[0].startswith("GRANT USAGE ON SCHEMA public TO role_")
    for thing in ("DATABASE", "SEQUENCE employees_id_seq", "INSERT, SELECT, UPDATE ON runs"):
        assert thing in told[1]


async def test_rights_on_single_columns_count(pool: asyncpg.Pool, database: DatabaseSettings) -> None:
    async with (
        role_with(pool, database) as lent,
        db.open_pool(lent, max_size=1) as theirs,
    ):
        await pool.execute(f"GRANT SELECT (mail), INSERT (name, mail) ON employees TO {lent.user}")
        await pool.execute(f"GRANT USAGE ON SEQUENCE employees_id_seq TO {lent.user}")
        await require_needs(theirs, saver.NEEDS)


async def test_who_may_not_create_tables_is_told_whose_work_that_is(
    pool: asyncpg.Pool, database: DatabaseSettings
) -> None:
    async with (
        role_with(pool, database) as lent,
        db.open_pool(lent, max_size=1) as theirs,
    ):
        with pytest.raises(RightsMissing, match="permission denied .*Apply the scheme as the owner"):
            await db.apply_scheme(theirs)
