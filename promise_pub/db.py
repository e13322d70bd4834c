"""PostgreSQL: the pool, the named queries of `sql/`, and asyncpg's errors turned into ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from promise_pub.errors import (
    DatabaseError,
    DatabasePooled,
    DatabaseReadOnly,
    DatabaseRefused,
    DatabaseUnavailable,
    RightsMissing,
    SchemaMissing,
)
from promise_pub.settings.model import DatabaseSettings, asset
from promise_pub.tls import client_context

CONNECT_TIMEOUT = 10.0  # seconds; a host that swallows packets would hold a start for minutes
COMMAND_TIMEOUT = 30.0  # seconds; every statement but the long counts, which set their own
CLOSE_TIMEOUT = 2.0  # seconds; whoever used the pool is done, or hangs: a server has 10 s for all of its end

_SQL = Path(__file__).parent / "sql"

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says when the server ended the connection between two statements
    OSError,
    TimeoutError,
)
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
_LACKING = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)
_POOLED = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)

# Classes of SQLSTATE that may pass by themselves, whoever tries again: a lost connection, a transaction that was rolled
# back for another's sake, want of memory, disk or connections, locks, an operator's doing, the system's errors; and a
# server that only reads, which one that was a standby does until it is made the primary; and a transaction that took
# too long, idle or not, with which the server ends the connection. All else lasts: a missing right, a missing table, a
# value that cannot be stored.
_PASSING = ("08", "25006", "25P03", "25P04", "40", "53", "55", "57", "58")


def queries(file: str | Path) -> Any:
    """Returns the named queries of `sql/{file}.sql`, or of a file elsewhere.

    Each is an async method that takes a connection or a pool.
    """
    return aiosql.from_path(_SQL / f"{file}.sql" if isinstance(file, str) else file, "asyncpg")


@contextmanager
def translated() -> Iterator[None]:
    """Turns asyncpg's errors, and those of the socket under it, into DatabaseError and its kinds."""
    try:
        yield
    except _LACKING as error:
        raise SchemaMissing(
            f"The database lacks tables or columns of promise-pub: {_reason(error)}. Create them with "
            "`promise-pub schema --apply`."
        ) from error
    except _POOLED as error:
        raise DatabasePooled from error
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise DatabaseReadOnly(passes=True) from error
    except _REFUSED as error:
        told = f"The database refused: {_reason(error)}"
        raise DatabaseRefused(told, passes=_passes(error)) from error
    except _AWAY as error:
        raise DatabaseUnavailable(f"The database cannot be reached: {_reason(error)}") from error
    except asyncpg.PostgresError as error:
        told = f"The database failed: {_reason(error)}"
        raise DatabaseError(told, passes=_passes(error)) from error


@asynccontextmanager
async def answering(pool: asyncpg.Pool, within: float) -> AsyncIterator[None]:
    """Limits the queries in the block to `within` seconds, and translates their errors.

    After a timeout no connection of the pool is used again: one was lost without a word.
    """
    with translated():
        try:
            async with asyncio.timeout(within):
                yield
        except TimeoutError:
            await pool.expire_connections()
            raise


def _passes(error: asyncpg.PostgresError) -> bool:
    return (error.sqlstate or "").startswith(_PASSING)


def _reason(error: BaseException) -> str:
    """What went wrong in a line. The details below it, and values that do not fit, quote what was to be stored."""
    if isinstance(error, asyncpg.DataError):
        return f"a value cannot be stored ({type(error).__name__})"
    return str(error).partition("\n")[0] or type(error).__name__


@asynccontextmanager
async def open_pool(settings: DatabaseSettings, *, min_size: int = 1, max_size: int = 8) -> AsyncIterator[asyncpg.Pool]:
    """A pool of connections, closed with the block. Raises DatabaseUnavailable or DatabaseRefused at once."""
    with _told_where(settings), translated():
        pool = await asyncpg.create_pool(
            **await connection_arguments(settings),
            min_size=min_size,
            max_size=max_size,
            command_timeout=COMMAND_TIMEOUT,
        )
    try:
        yield pool
    finally:
        await _close(pool)


async def connection_arguments(settings: DatabaseSettings) -> dict[str, Any]:
    """Gives the arguments of every connection: the configuration decides them, and nothing else.

    asyncpg asks libpq's variables (PGSSLMODE, PGPASSWORD, ...) and files in the user's home (~/.pgpass,
    ~/.postgresql) for each argument that is None or left out. So none is. It reads PGSERVICE only for a DSN.
    """
    return {
        "host": settings.host,
        "port": settings.port,
        "database": settings.dbname,
        "user": settings.user,
        "password": settings.password,
        "ssl": await client_context(settings.ca_certificate) if settings.ssl else False,
        "direct_tls": False,
        "target_session_attrs": "any",
        "krbsrvname": "postgres",
        "gsslib": "gssapi",
        "timeout": CONNECT_TIMEOUT,
        "server_settings": {"application_name": "promise-pub"},
    }


@contextmanager
def _told_where(settings: DatabaseSettings) -> Iterator[None]:
    """Which database it was that could not be reached."""
    try:
        yield
    except DatabaseUnavailable as error:
        where = f"[database] host {settings.host}, port {settings.port}"
        raise DatabaseUnavailable(f"{error.message} ({where})") from error


async def _close(pool: asyncpg.Pool) -> None:
    """A pool waits for connections in use: when one hangs on a dead server, do not wait with it."""
    try:
        await asyncio.wait_for(pool.close(), timeout=CLOSE_TIMEOUT)
    except TimeoutError:
        pool.terminate()


def scheme() -> str:
    """The text of `scheme.sql`."""
    return asset("scheme.sql").read_text(encoding="utf-8")


async def apply_scheme(pool: asyncpg.Pool) -> None:
    """Creates what `scheme.sql` describes and is not there yet; harmless any number of times."""
    with translated():
        try:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(scheme())
        except asyncpg.InsufficientPrivilegeError as error:
            raise RightsMissing(
                f"The tables cannot be created: {_reason(error)}. Apply the scheme as the owner of that, or of the database."
            ) from error
