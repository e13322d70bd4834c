"""Checks of what a database must be, and let its role do, before anything is started on it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import asyncpg

from promise_pub.db import CONNECT_TIMEOUT, queries, scheme, translated
from promise_pub.errors import (
    DatabaseNotUtf8,
    DatabasePooled,
    DatabaseReadOnly,
    DatabaseTooOld,
    RightsMissing,
    SchemaMissing,
)

OLDEST = 13  # PostgreSQL's version: xid8 in consumer.sql, and an option of autovacuum in scheme.sql
POOLER_TIMEOUT = 5.0  # seconds for a pooler to serve a second connection, which takes milliseconds
POOLER_LOOKS = 3  # at least two find another backend where a pooler takes turns among its backends
_NO_TRANSACTIONS = "statement pooling mode"  # PgBouncer's words for them

_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+) \((.*?)^\);", re.MULTILINE | re.DOTALL)
_ALTERED = re.compile(r"^ALTER TABLE (\w+)$(.*?);", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    ([a-z]\w*) ", re.MULTILINE)
_ADDED = re.compile(r"ADD COLUMN IF NOT EXISTS (\w+)")


class Need(NamedTuple):
    """One table, and what is done with it: the rights, with blanks between, and the columns; none: all of the scheme's."""

    table: str
    rights: str
    columns: tuple[str, ...] = ()


@cache
def _queries() -> Any:
    return queries("checks")


@cache
def scheme_columns() -> Mapping[str, tuple[str, ...]]:
    """The columns of each table, as `scheme.sql` has them. Reads the file the first time."""
    text = scheme()
    columns = {table: _COLUMN.findall(body) for table, body in _TABLE.findall(text)}
    for table, body in _ALTERED.findall(text):
        columns[table] += _ADDED.findall(body)
    return {table: tuple(names) for table, names in columns.items()}


async def require_usable(pool: asyncpg.Pool) -> None:
    """Raises a kind of DatabaseUnfit for a database that no table and no right would make usable.

    Takes a second connection where a pooler stands before it.
    """
    named = _queries()
    with translated():
        async with pool.acquire(timeout=CONNECT_TIMEOUT) as connection:
            await _require_a_backend_of_its_own(pool, connection, named)
            require_fit(await named.facts(connection))


def require_fit(facts: Mapping[str, Any]) -> None:
    """Raises a kind of DatabaseUnfit. `facts` as the query of that name gives them."""
    the_database = f"The database {facts['database']}"
    if facts["major"] < OLDEST:
        raise DatabaseTooOld(
            f"{the_database} is on PostgreSQL {facts['version']}: promise-pub needs {OLDEST} or newer."
        )
    if facts["encoding"] != "UTF8":
        raise DatabaseNotUtf8(
            f"{the_database} is in {facts['encoding']}; it must be UTF8. Make another with "
            "createdb -E UTF8 -T template0 NAME, and set [database] dbname to it."
        )
    if facts["standby"]:
        raise DatabaseReadOnly(
            f"{the_database} is read-only, for its server is a standby: set [database] host to the primary."
        )
    if facts["read_only"]:
        raise DatabaseReadOnly(
            f"{the_database} is read-only for the role {facts['role']}: "
            "switch default_transaction_read_only off, for the role or the database."
        )


async def require_needs(pool: asyncpg.Pool, needs: Sequence[Need], *, makes_tables: bool = False) -> None:
    """Raises SchemaMissing for a column that is not there, RightsMissing for a right; `makes_tables`: temporary ones."""
    await require_columns(pool, needs)
    named = _queries()
    asked = [(need.table, right) for need in needs for right in need.rights.split()]
    tables, rights = zip(*asked, strict=True)
    with translated():
        found = named.missing_grants(pool, tables=tables, rights=rights, makes_tables=makes_tables)
        grants = [row["statement"] async for row in found]
    if grants:
        raise RightsMissing(_lacks_rights(grants))


async def require_columns(pool: asyncpg.Pool, needs: Sequence[Need]) -> None:
    """Raises SchemaMissing for a column that is not there."""
    named = _queries()
    asked = [(need.table, column) for need in needs for column in need.columns or scheme_columns()[need.table]]
    tables, columns = zip(*asked, strict=True)
    with translated():
        lacking = [row async for row in named.lacking(pool, tables=tables, columns=columns)]
        if lacking and (grant := await named.hiding(pool)):
            raise RightsMissing(_lacks_rights([grant]))
    if lacking:
        raise _schema_missing(lacking)


def _lacks_rights(grants: Sequence[str]) -> str:
    return f"The database's role lacks rights; have the tables' owner run: {'; '.join(grants)};"


def _schema_missing(lacking: Sequence[Mapping[str, Any]]) -> SchemaMissing:
    """The first of what is lacking says enough: one command cures all of it, but for a table that is another's."""
    table, column = lacking[0]["table"], lacking[0]["column"]
    if not lacking[0]["in_table"]:
        return SchemaMissing(f"The database lacks the table {table}: create it with `promise-pub schema --apply`.")
    if table == "employees":
        return SchemaMissing(
            f"The table employees lacks the column {column}, and is not changed by promise-pub: "
            "its columns must be as `promise-pub schema` prints them."
        )
    return SchemaMissing(
        f"The table {table} is of an older version, and lacks the column {column}: "
        "bring it up to date with `promise-pub schema --apply`."
    )


async def _require_a_backend_of_its_own(pool: asyncpg.Pool, connection: Any, named: Any) -> None:
    """Raises DatabasePooled where a connection is not served by one process of PostgreSQL's as long as it lasts.

    Where nothing stands between, PostgreSQL has told at the start which process serves us. A pooler tells a number of
    its own. In session mode the process stays ours; in transaction mode it serves others as soon as our transaction has
    ended: one whose transaction goes on gets the process that we had, which PgBouncer gives first, or leaves it and we
    get another. (A pooler that takes turns comes to another within some transactions.)
    """
    try:
        ours = await _backend(connection, named)
        if ours == connection.get_server_pid():
            return
        async with pool.acquire(timeout=CONNECT_TIMEOUT) as other:
            shared = await _is_shared(ours, connection, other, named)
        looks = [await _backend(connection, named) for _ in range(POOLER_LOOKS)]
    except asyncpg.PostgresError as error:
        if _NO_TRANSACTIONS not in str(error):
            raise
        raise DatabasePooled from error
    if shared or any(look != ours for look in looks):
        raise DatabasePooled


async def _is_shared(ours: int, connection: Any, other: Any, named: Any) -> bool:
    """Tells whether a transaction of another connection gets our process, or leaves us another."""
    try:
        async with asyncio.timeout(POOLER_TIMEOUT), other.transaction():
            return await named.backend(other) == ours or await _backend(connection, named) != ours
    except TimeoutError as error:
        other.terminate()  # it still waits, and would keep whoever releases it
        raise DatabasePooled(
            "The pooler before the database does not serve two connections at once: raise its pool_size."
        ) from error


async def _backend(connection: Any, named: Any) -> int:
    """In a transaction, so that even an unnamed statement is there when it is executed."""
    async with connection.transaction():
        return int(await named.backend(connection))
