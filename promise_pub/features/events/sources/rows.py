"""Rows of SQLite databases that strangers may have made, as records."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from threading import Timer
from time import monotonic

from promise_pub.features.events.sources.finding import MAX_REASON, Judged, require_one
from promise_pub.features.events.sources.shown import UntilDamaged, judge_shown
from promise_pub.sources import MAX_WHOLE, Damaged, Given, SqliteQuery, WrongType
from promise_pub.text import storable

MAX_SECONDS = 60.0
"""Time that SQLite may take for a file, its check included. What is done with its rows does not count."""

_MAGIC = b"SQLite format 3\0"
_ROWS = 1_000  # that are fetched at once

_PRAGMAS = (
    # Functions that a view, an index or a generated column of the file would call are not.
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    # A file that is cut while it is mapped would end the process.
    "PRAGMA mmap_size = 0",
    "PRAGMA query_only = ON",
)
# A virtual table has no page of its own, and may run whatever code it names.
_TABLE = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name = ? COLLATE NOCASE"
_COLUMNS = "SELECT lower(name) FROM pragma_table_info(?)"


def read_rows(source: SqliteQuery, path: Path, given: Given, seconds: float = MAX_SECONDS) -> Iterator[Judged]:
    """Yields the rows of a database as records, whose positions are their rowids. The file is a copy that nobody writes to.

    Raises WrongType, before anything was yielded; Damaged, with SQLite's words, once the rows before the damage were, but for
    one that Python's module may lose; OSError.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise WrongType("It is no SQLite database.")
    # Nothing beside the file is looked for, made or locked.
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)) as connection:
        database = _Database(connection, seconds)
        database.check(source)
        rows = UntilDamaged(database.rows(source.query))
        yield from require_one((_judged(source, row, given, line) for line, row in enumerate(rows, 1)), source)
        rows.raise_damage()


def _judged(source: SqliteQuery, row: sqlite3.Row, given: Given, line: int) -> Judged:
    return judge_shown(source, row, given, row[0] if isinstance(row[0], int) else line, line)


class _Database:
    """A database that is trusted with nothing, and SQLite's time for it."""

    def __init__(self, connection: sqlite3.Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = self._left = seconds
        connection.row_factory = sqlite3.Row
        # A text that is none costs only itself, not all rows after it.
        connection.text_factory = lambda raw: storable(raw.decode(errors="replace"))
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_WHOLE)

    def check(self, source: SqliteQuery) -> None:
        """Raises WrongType where the file lacks what the type needs, or Damaged."""
        for pragma in _PRAGMAS:
            self._fetch_all(pragma)
        ((told,),) = self._fetch_all("PRAGMA quick_check(1)")
        if told != "ok":
            raise Damaged(f"SQLite says of it: {_line(told)}.")
        for table, needed in source.needs.items():
            if not self._fetch_all(_TABLE, table):
                raise WrongType(f"It looks like no {source.name}: it has no table {table}.")
            columns = {name for (name,) in self._fetch_all(_COLUMNS, table)}
            if lacking := sorted(name for name in needed if name.lower() not in columns):
                raise WrongType(f"It looks like no {source.name}: its table {table} has no {', '.join(lacking)}.")

    def rows(self, query: str) -> Iterator[sqlite3.Row]:
        """Yields what a query finds. Raises Damaged."""
        with self._limited():
            cursor = self._connection.execute(query)
        damage: Damaged | None = None
        is_over = False
        while not is_over:
            rows: list[sqlite3.Row] = []
            try:
                with self._limited():
                    for row in islice(cursor, _ROWS):
                        rows.append(row)
            except Damaged as error:
                damage = error
            yield from rows
            is_over = damage is not None or not rows
        if damage:
            raise damage

    def _fetch_all(self, statement: str, *parameters: str) -> list[sqlite3.Row]:
        with self._limited():
            return self._connection.execute(statement, parameters).fetchall()

    @contextmanager
    def _limited(self) -> Iterator[None]:
        timer = Timer(max(0.0, self._left), self._connection.interrupt)
        timer.daemon = True
        started = monotonic()
        timer.start()
        try:
            yield
        except (sqlite3.Error, UnicodeError, MemoryError) as error:
            # Python cannot read names in SQLite's own words where these are no text.
            raise self._refusal(error) from error
        finally:
            timer.cancel()
            # It must not interrupt, or meet a closed connection, once this is over.
            timer.join()
            self._left -= monotonic() - started

    def _refusal(self, error: Exception) -> Exception:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_NOTADB:
            return WrongType("It is no SQLite database.")
        if code == sqlite3.SQLITE_INTERRUPT:
            return Damaged(f"SQLite took longer than {self._seconds:g} s for it.")
        return Damaged(f"SQLite says of it: {_line(str(error) or type(error).__name__)}.")


def _line(told: str) -> str:
    return " ".join(told.split())[:MAX_REASON]
