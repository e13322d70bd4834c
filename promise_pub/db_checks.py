"""Checks of a database before anything starts on it: its version and encoding, its tables, and the role's rights."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from promise_pub.db import CONNECT_TIMEOUT, queries, scheme, translated
from promise_pub.errors import (
    DatabaseNotUtf8,
    DatabasePooled,
    DatabaseReadOnly,
    DatabaseTooOld,
    RightsMissing,
    SchemaMissing,
)

MIN_VERSION = 13  # of PostgreSQL: xid8 in consumer.sql, and an option of autovacuum in scheme.sql
POOLER_TIMEOUT = 5.0  # seconds for a pooler to serve a second connection, which takes milliseconds
POOLER_TRIES = 3  # at least two get another backend from a pooler that takes turns among its backends
_NO_TRANSACTIONS = "statement pooling mode"  # PgBouncer's words for them

_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+) \((.*?)^\)[^;]*;", re.MULTILINE | re.DOTALL)
_ALTERED = re.compile(r"^ALTER TABLE (\w+)$(.*?);", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    ([a-z]\w*) ", re.MULTILINE)
_ADDED = re.compile(r"ADD COLUMN IF NOT EXISTS (\w+)")


class Need(NamedTuple):
    """The rights needed on a table, with blanks between, and the columns; no columns: all of the scheme's."""

    table: str
    rights: str
    columns: tuple[str, ...] = ()


@cache
def _queries() -> Any:
    return queries("checks")


@cache
def scheme_columns() -> Mapping[str, tuple[str, ...]]:
    """Returns the columns of each table in `scheme.sql`, which is read once."""
    text = scheme()
    columns = {table: _COLUMN.findall(body) for table, body in _TABLE.findall(text)}
    for table, body in _ALTERED.findall(text):
        columns[table] += _ADDED.findall(body)
    return {table: tuple(names) for table, names in columns.items()}


async def require_usable(pool: asyncpg.Pool) -> None:
    """Raises a kind of DatabaseUnfit for a database that no table and no right would make usable.

    It takes a second connection of the pool when a pooler stands before the database.
    """
    named = _queries()
    with translated():
        async with pool.acquire(timeout=CONNECT_TIMEOUT) as connection:
            await _require_a_backend_of_its_own(pool, connection, named)
            require_fit(await named.facts(connection))


def require_fit(facts: Mapping[str, Any]) -> None:
    """Raises a kind of DatabaseUnfit. `facts` is the row of the query of that name."""
    the_database = f"The database {facts['database']}"
    if facts["major"] < MIN_VERSION:
        raise DatabaseTooOld(
            f"{the_database} is on PostgreSQL {facts['version']}: promise-pub needs {MIN_VERSION} or newer."
        )
    if facts["encoding"] != "UTF8":
        raise DatabaseNotUtf8(
            f"{the_database} is in {facts['encoding']}; it must be UTF8. Create another with "
            "createdb -E UTF8 -T template0 NAME, and set [database] dbname to it."
        )
    if facts["standby"]:
        raise DatabaseReadOnly(
            f"{the_database} is read-only because its server is a standby: set [database] host to the primary."
        )
    if facts["read_only"]:
        raise DatabaseReadOnly(
            f"{the_database} is read-only for the role {facts['role']}: "
            "switch default_transaction_read_only off, for the role or the database."
        )


async def require_needs(pool: asyncpg.Pool, needs: Sequence[Need], *, makes_tables: bool = False) -> None:
    """Raises SchemaMissing for a missing column, RightsMissing for a missing right; `makes_tables`: temporary ones."""
    await require_columns(pool, needs)
    named = _queries()
    asked = [(need.table, right) for need in needs for right in need.rights.split()]
    tables, rights = zip(*asked, strict=True)
    with translated():
        found = named.missing_grants(pool, tables=tables, rights=rights, makes_tables=makes_tables)
        grants = [row["statement"] async for row in found]
    if grants:
        raise RightsMissing(_lacks_rights(grants))


async def require_columns(connection: asyncpg.Pool | PoolConnectionProxy, needs: Sequence[Need]) -> None:
    """Raises SchemaMissing for a missing column."""
    named = _queries()
    asked = [(need.table, column) for need in needs for column in need.columns or scheme_columns()[need.table]]
    tables, columns = zip(*asked, strict=True)
    with translated():
        lacking = [row async for row in named.lacking(connection, tables=tables, columns=columns)]
        if lacking and (grant := await named.hiding(connection)):
            raise RightsMissing(_lacks_rights([grant]))
    if lacking:
        raise _schema_missing(lacking)


async def require_disk(connection: PoolConnectionProxy) -> None:
    """Raises DatabaseError where the database cannot write to its disk, which may be full; nothing written stays.

    Temporary files of this query may lie on another disk than tables, where `temp_tablespaces` is set.
    """
    named = _queries()
    with translated():
        async with connection.transaction():
            await named.use_little_memory(connection)
            await named.write_to_disk(connection)


def _lacks_rights(grants: Sequence[str]) -> str:
    return f"The database's role lacks rights; have the tables' owner run: {'; '.join(grants)};"


def _schema_missing(lacking: Sequence[Mapping[str, Any]]) -> SchemaMissing:
    """Names the first missing column: one command adds all of them, except in the table employees."""
    table, column = lacking[0]["table"], lacking[0]["column"]
    if not lacking[0]["in_table"]:
        return SchemaMissing(f"The database lacks the table {table}: create it with `promise-pub schema --apply`.")
    if table == "employees":
        return SchemaMissing(
            f"The table employees lacks the column {column}, and promise-pub does not change that table: "
            "its columns must be as `promise-pub schema` prints them."
        )
    return SchemaMissing(
        f"The table {table} is of an older version and lacks the column {column}: "
        "update it with `promise-pub schema --apply`."
    )


async def _require_a_backend_of_its_own(pool: asyncpg.Pool, connection: Any, named: Any) -> None:
    """Raises DatabasePooled unless one process of PostgreSQL serves a connection as long as it lasts.

    Without a pooler, PostgreSQL has named the process at the start. A pooler names a number of its own. In session mode
    the process stays ours. In transaction mode it serves others once our transaction has ended: another connection with
    an open transaction gets the process that we had, as PgBouncer does, or keeps another from us. A pooler that takes
    turns gives us a different process within a few transactions.
    """
    try:
        ours = await _backend(connection, named)
        if ours == connection.get_server_pid():
            return
        async with pool.acquire(timeout=CONNECT_TIMEOUT) as other:
            shared = await _is_shared(ours, connection, other, named)
        backends = [await _backend(connection, named) for _ in range(POOLER_TRIES)]
    except asyncpg.PostgresError as error:
        if _NO_TRANSACTIONS not in str(error):
            raise
        raise DatabasePooled from error
    if shared or any(backend != ours for backend in backends):
        raise DatabasePooled


async def _is_shared(ours: int, connection: Any, other: Any, named: Any) -> bool:
    """Tells whether another connection's transaction gets our process, or makes us get another."""
    try:
        async with asyncio.timeout(POOLER_TIMEOUT), other.transaction():
            return await named.backend(other) == ours or await _backend(connection, named) != ours
    except TimeoutError as error:
        # It still waits, and its release would wait too.
        other.terminate()
        raise DatabasePooled(
            "The pooler before the database does not serve two connections at once: increase its pool_size."
        ) from error


async def _backend(connection: Any, named: Any) -> int:
    # In a transaction, so that even an unnamed statement still exists when it is executed.
    async with connection.transaction():
        return int(await named.backend(connection))
