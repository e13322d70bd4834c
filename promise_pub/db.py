"""PostgreSQL: the pool, the named queries of `sql/`, and the translation of asyncpg's errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import aiosql
import asyncpg
from asyncpg.pool import PoolConnectionProxy

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

CONNECT_TIMEOUT = 10.0  # seconds; a host that drops packets would delay a start by minutes
COMMAND_TIMEOUT = 30.0  # seconds for a statement; long counts set their own
ANSWER_TIMEOUT = 6.0  # seconds for what a page shows: a page answers within ten, whatever hangs
RELEASE_TIMEOUT = 1.0  # seconds for a connection to be cancelled and reset; one that takes longer is closed
CLOSE_TIMEOUT = 2.0  # seconds; statements have ended by then or hang, and a server has 10 s to stop

_SQL = Path(__file__).parent / "sql"

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    # Raised by asyncpg when the server ended the connection between two statements.
    asyncpg.InternalClientError,
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

# Classes of SQLSTATE that may pass by themselves: a lost connection, a transaction that was rolled back in favour of
# another, too little memory, disk or connections, locks, an operator's intervention, errors of the system; a read-only
# server, which may be a standby that becomes the primary; and a transaction that took too long, idle or not, with which
# the server ends the connection. All others last: a missing right, a missing table, a value that cannot be stored.
_PASSING = ("08", "25006", "25P03", "25P04", "40", "53", "55", "57", "58")


def queries(file: str | Path, **fragments: str) -> Any:
    """Returns the named queries of `sql/{file}.sql`, or of a file elsewhere.

    Each is an async method that takes a connection or a pool. A fragment replaces its name in braces; fragments are SQL,
    and never come from input.
    """
    path = _SQL / f"{file}.sql" if isinstance(file, str) else file
    text = path.read_text(encoding="utf-8")
    for name, fragment in fragments.items():
        text = text.replace(f"{{{name}}}", fragment)
    return aiosql.from_str(text, "asyncpg")


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
        raise DatabaseRefused(f"The database refused: {_reason(error)}", passes=_passes(error)) from error
    except _AWAY as error:
        raise DatabaseUnavailable(f"The database cannot be reached: {_reason(error)}") from error
    except asyncpg.PostgresError as error:
        raise DatabaseError(f"The database failed: {_reason(error)}", passes=_passes(error)) from error


class _PooledConnection(asyncpg.Connection):
    """A connection that is not reset when it goes back to the pool after a block that left nothing behind on it."""

    _left_as_found = False

    def leave_as_found(self) -> None:
        """Promises that nobody will have changed the session, nor locked anything for it, when it goes back."""
        self._left_as_found = True

    def get_reset_query(self) -> str:
        left_as_found, self._left_as_found = self._left_as_found, False
        return "" if left_as_found else super().get_reset_query()


@asynccontextmanager
async def answering(pool: asyncpg.Pool, within: float, *, reset: bool = True) -> AsyncIterator[PoolConnectionProxy]:
    """Yields a connection for queries that take `within` seconds at most, and translates their errors.

    A block that leaves the session as it found it can do without its `reset`, which is a statement less.

    Whatever hangs, the block ends RELEASE_TIMEOUT later at the latest, and the pool has its connection back. asyncpg by
    itself waits as long as for a statement until the database confirms that a query is cancelled or rolled back. After
    a timeout no connection of the pool is used again: one was lost without a word. That is not so where all were in use.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    limit = asyncio.timeout_at(end)
    connection: PoolConnectionProxy | None = None
    with translated():
        try:
            async with limit:
                connection = await pool.acquire()
                if not reset:
                    # The pool's proxy passes it on, which its type does not know.
                    cast(Any, connection).leave_as_found()
                ending = loop.call_at(end + RELEASE_TIMEOUT, connection.terminate)
                try:
                    yield connection
                finally:
                    ending.cancel()
                    with suppress(TimeoutError):
                        await pool.release(connection, timeout=RELEASE_TIMEOUT)
        except Exception as error:
            if not limit.expired():
                raise
            if connection is not None:
                await pool.expire_connections()
            raise TimeoutError(f"no answer within {within:g} s") from error


def _passes(error: asyncpg.PostgresError) -> bool:
    return (error.sqlstate or "").startswith(_PASSING)


def _reason(error: BaseException) -> str:
    """Returns the first line of the error. Later lines, and errors about values, quote data."""
    if isinstance(error, asyncpg.DataError):
        return f"a value cannot be stored ({type(error).__name__})"
    return str(error).partition("\n")[0] or type(error).__name__


@asynccontextmanager
async def open_pool(settings: DatabaseSettings, *, min_size: int = 1, max_size: int = 8) -> AsyncIterator[asyncpg.Pool]:
    """Opens a pool of connections, closed with the block. Raises DatabaseUnavailable or DatabaseRefused."""
    with _naming_address(settings), translated():
        pool = await asyncpg.create_pool(
            **await connection_arguments(settings),
            min_size=min_size,
            max_size=max_size,
            command_timeout=COMMAND_TIMEOUT,
            connection_class=_PooledConnection,
        )
    try:
        yield pool
    finally:
        await _close(pool)


async def connection_arguments(settings: DatabaseSettings) -> dict[str, Any]:
    """Returns the arguments of every connection, which depend on the configuration alone.

    For each argument that is None or left out asyncpg reads libpq's variables (PGSSLMODE, PGPASSWORD, ...) and files in
    the user's home (~/.pgpass, ~/.postgresql), so every argument is set. It reads PGSERVICE only for a DSN.
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
def _naming_address(settings: DatabaseSettings) -> Iterator[None]:
    """Adds the database's address to DatabaseUnavailable."""
    try:
        yield
    except DatabaseUnavailable as error:
        where = f"[database] host {settings.host}, port {settings.port}"
        raise DatabaseUnavailable(f"{error.message} ({where})") from error


async def _close(pool: asyncpg.Pool) -> None:
    # A pool waits for connections in use, of which one may hang on a dead server.
    try:
        await asyncio.wait_for(pool.close(), timeout=CLOSE_TIMEOUT)
    except TimeoutError:
        pool.terminate()


def scheme() -> str:
    """Returns the text of `scheme.sql`."""
    return asset("scheme.sql").read_text(encoding="utf-8")


async def apply_scheme(pool: asyncpg.Pool) -> None:
    """Creates the tables and columns of `scheme.sql` that do not exist yet."""
    with translated():
        try:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(scheme())
        except asyncpg.InsufficientPrivilegeError as error:
            raise RightsMissing(
                f"The tables cannot be created: {_reason(error)}. "
                "Apply the scheme as the owner of the tables or the database."
            ) from error
