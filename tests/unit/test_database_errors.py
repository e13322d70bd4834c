"""PostgreSQL's errors: which may pass by themselves, so that trying again is of use, and which last."""

from __future__ import annotations

import asyncpg
import pytest

from promise_pub.db import translated
from promise_pub.errors import DatabaseError


@pytest.mark.parametrize(
    ("kind", "code", "passes"),
    [
        (asyncpg.InsufficientPrivilegeError, "database_refused", False),
        (asyncpg.InvalidPasswordError, "database_refused", False),
        (asyncpg.InvalidCatalogNameError, "database_refused", False),
        (asyncpg.TooManyConnectionsError, "database_unavailable", True),
        (asyncpg.UndefinedTableError, "schema_missing", False),
        (asyncpg.UndefinedColumnError, "schema_missing", False),
        (asyncpg.DatatypeMismatchError, "database_failed", False),
        (asyncpg.NotNullViolationError, "database_failed", False),
        (asyncpg.UntranslatableCharacterError, "database_failed", False),
        (asyncpg.DeadlockDetectedError, "database_failed", True),
        (asyncpg.SerializationError, "database_failed", True),
        (asyncpg.DiskFullError, "database_failed", True),
        (asyncpg.OutOfMemoryError, "database_failed", True),
        (asyncpg.LockNotAvailableError, "database_failed", True),
        (asyncpg.QueryCanceledError, "database_failed", True),
        (asyncpg.PostgresIOError, "database_failed", True),
        (asyncpg.ReadOnlySQLTransactionError, "database_read_only", True),
        (asyncpg.IdleInTransactionSessionTimeoutError, "database_failed", True),
        (asyncpg.TransactionTimeoutError, "database_failed", True),
        (asyncpg.InFailedSQLTransactionError, "database_failed", False),
        (asyncpg.AdminShutdownError, "database_unavailable", True),
        (asyncpg.CannotConnectNowError, "database_unavailable", True),
        (asyncpg.ConnectionDoesNotExistError, "database_unavailable", True),
        (asyncpg.InterfaceError, "database_unavailable", True),
        (ConnectionRefusedError, "database_unavailable", True),
        (TimeoutError, "database_unavailable", True),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_which_errors_may_pass_by_themselves(kind: type[Exception], code: str, passes: bool) -> None:
    with pytest.raises(DatabaseError) as caught, translated():
        raise kind("for this reason")
    assert (caught.value.code, caught.value.passes) == (code, passes)
