"""Saves rows in batches, each of them whole or not at all, and finds out which when the database's answer is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

from promise_pub.consumer.rows import RowValues
from promise_pub.db import CONNECT_TIMEOUT, queries, translated
from promise_pub.db_checks import Need
from promise_pub.errors import DatabaseError, DatabaseUnavailable
from promise_pub.retries import Backoff, retry

NEEDS = (Need("employees", "SELECT INSERT", ("name", "mail")),)
# A quarter of an hour outlasts a restart or a failover, and stays under the half hour after which RabbitMQ closes a
# channel that does not ack. Most losses are over at once.
OUTAGE = Backoff(first=0.05, longest=5.0, within=900.0)
# Errors that a row can cause although `rows.parse` accepted it: an encoding other than UTF-8, a constraint, a trigger.
_ROW_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.RaiseError)


class Saved(NamedTuple):
    """The outcome of a batch: how many rows were saved, those that existed before, those that the database refused.

    `existing` is None where the database does not show which rows they are, as when a trigger changes what is saved.
    """

    saved: int
    existing: Sequence[RowValues] | None = ()
    refused: Sequence[RowValues] = ()


class _InDoubt(NamedTuple):
    """A transaction whose commit was sent and may not have been answered."""

    transaction: str
    outcome: Saved


class Saver:
    """Saves rows to the table employees."""

    def __init__(self, pool: asyncpg.Pool, backoff: Backoff = OUTAGE) -> None:
        self._pool = pool
        self._backoff = backoff
        self._queries = queries("consumer")

    async def check(self) -> None:
        """Raises DatabaseUnavailable, DatabaseRefused or SchemaMissing when rows could not be saved now."""
        with translated():
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT) as connection:
                await self._queries.check_employees(connection)

    async def save(self, rows: Sequence[RowValues]) -> Saved:
        """Commits the rows. Raises DatabaseError when the database refuses, or is away for too long.

        The refusal of a row costs no other: its batch is halved until it stands alone.
        """
        try:
            return await self._commit(rows)
        except DatabaseError as error:
            if not isinstance(error.__cause__, _ROW_REFUSED):
                raise
        if len(rows) == 1:
            return Saved(0, refused=rows)
        middle = len(rows) // 2
        first, second = await self.save(rows[:middle]), await self.save(rows[middle:])
        refused = [*first.refused, *second.refused]
        if first.existing is None or second.existing is None:
            return Saved(first.saved + second.saved, None, refused)
        return Saved(first.saved + second.saved, [*first.existing, *second.existing], refused)

    async def _commit(self, rows: Sequence[RowValues]) -> Saved:
        """Returns the outcome, also when the connection broke between the commit and its answer."""
        insert = _Insert(self._queries, rows)

        async def commit() -> Saved:
            with translated():
                async with self._pool.acquire(timeout=CONNECT_TIMEOUT) as connection:
                    return await insert.commit(connection)

        return await retry(commit, self._backoff, DatabaseError)


class _Insert:
    """One INSERT, repeated until its outcome is known."""

    def __init__(self, named: Any, rows: Sequence[RowValues]) -> None:
        self._queries = named
        self._rows = rows
        self._names = [row.name for row in rows]
        self._mails = [row.mail for row in rows]
        self._doubt: _InDoubt | None = None

    async def commit(self, connection: asyncpg.pool.PoolConnectionProxy) -> Saved:
        if self._doubt and await self._was_committed(connection, self._doubt.transaction):
            return self._doubt.outcome
        self._doubt = None
        async with connection.transaction():
            done = await self._queries.save_rows(connection, names=self._names, mails=self._mails)
            existing = self._find_existing(done["saved"], done["names"], done["mails"])
            self._doubt = _InDoubt(done["transaction"], Saved(done["saved"], existing))
        return self._doubt.outcome

    def _find_existing(
        self, saved: int, names: Sequence[str] | None, mails: Sequence[str] | None
    ) -> Sequence[RowValues] | None:
        """Returns the rows that were not saved. Names and mails are those saved; None where all were, or none."""
        if names is None or mails is None:
            return () if saved else self._rows
        # Of equal rows the first was saved.
        left = set(zip(names, mails, strict=True))
        existing = []
        for row in self._rows:
            key = (row.name, row.mail)
            if key in left:
                left.remove(key)
            else:
                existing.append(row)
        return existing if len(existing) == len(self._rows) - saved else None

    async def _was_committed(self, connection: asyncpg.pool.PoolConnectionProxy, transaction: str) -> bool:
        """Tells whether the transaction was committed. Raises DatabaseUnavailable while it is in progress.

        A database that is killed forgets numbers of transactions that it had not written to disk, and gives them to
        others. So a committed number proves nothing by itself, and a number that is still unused was not committed.
        """
        try:
            status = await self._queries.transaction_status(connection, transaction=transaction)
        except asyncpg.InvalidParameterValueError:
            return False
        if status == "in progress":
            raise DatabaseUnavailable("The database has not ended a transaction whose connection is gone.")
        return status == "committed" and bool(
            await self._queries.holds_rows_of(connection, transaction=transaction, mails=self._mails)
        )
