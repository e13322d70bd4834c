"""How many rows of a file repeat an earlier one, in memory that does not grow with the file, and without a server.

What makes a row itself is hashed to 16 bytes, and the hashes go to SQLite's private temporary database: on the disk
once they outgrow its cache, without a name from the beginning, gone when it is closed or the process dies. It sorts
them outside of Python's lock, in a thread. Counting in PostgreSQL, as for a run's verdict, would be no quicker, and a
dry run is to work while that is away; a set of hashes in memory would take 10 GB for a file of 2 GB.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Self, TypeVar

from promise_pub.concurrency import finish_task
from promise_pub.errors import DiskFull, StoredFileError
from promise_pub.records import Row

SIZE = 16  # bytes of a hash: of a billion rows two are taken for equal with a chance of 1 in 10**21
_CACHE = 8_192  # KiB that are kept in memory before anything goes to the disk; sorting takes as much again
# One statement for thousands of hashes: each gives Python's lock up once, and waits to get it back.
_ADD = f"""
WITH RECURSIVE places(place) AS (
    SELECT 1 UNION ALL SELECT place + {SIZE} FROM places WHERE place + {SIZE} < length(:hashes)
)
INSERT INTO seen SELECT substr(:hashes, place, {SIZE}) FROM places
"""  # noqa: S608  no value of anybody's
_COUNT = """
SELECT (SELECT count(*) FROM seen) - (SELECT count(*) FROM (SELECT 1 FROM seen GROUP BY hash))
"""

T = TypeVar("T")


class RepeatCounter:
    """Counter of rows that equal an earlier one. Use it as an async context manager.

    `column` is the place of the field to compare, from 0; None: all of them. Raises DiskFull or StoredFileError.
    """

    def __init__(self, column: int | None) -> None:
        self._column = column
        # An empty name: a temporary file that is deleted as soon as it is open, in $SQLITE_TMPDIR, $TMPDIR or /var/tmp.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)

    async def __aenter__(self) -> Self:
        try:
            await self._in_thread(self._prepare)
        except BaseException:
            self._database.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._database.close()

    async def add(self, rows: Sequence[Row]) -> None:
        if rows:
            await self._in_thread(lambda: self._add(rows))

    async def count(self) -> int:
        """Returns how many of the rows repeat an earlier one."""
        return await self._in_thread(lambda: int(self._database.execute(_COUNT).fetchone()[0]))

    def _prepare(self) -> None:
        for pragma in (f"cache_size = -{_CACHE}", "journal_mode = OFF", "synchronous = OFF"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE seen (hash BLOB NOT NULL)")
        self._database.execute("BEGIN")

    def _add(self, rows: Sequence[Row]) -> None:
        hashes = b"".join([blake2b(key, digest_size=SIZE).digest() for key in self._keys(rows)])
        self._database.execute(_ADD, {"hashes": hashes})

    def _keys(self, rows: Sequence[Row]) -> Iterator[bytes]:
        if self._column is None:
            return ("\0".join(row.fields).encode() for row in rows)  # no field holds a NUL
        place = self._column + 1
        return (row[place].encode() for row in rows)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Runs work in a thread. A thread cannot be cancelled, but its SQLite statement can."""
        with _translated():
            return await finish_task(asyncio.create_task(asyncio.to_thread(work)), on_cancel=self._database.interrupt)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise DiskFull("The server's disk is full: repeats cannot be counted.") from error
        raise StoredFileError(f"Repeats cannot be counted: {error}") from error
