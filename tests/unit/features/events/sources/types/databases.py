"""Databases of browsers, made here with the columns that they have, and read as an import reads them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from promise_pub.features.events.sources.finding import Rejected, judge
from promise_pub.features.events.sources.given_file import GivenFile
from promise_pub.sources import Found, Ignored, SqliteQuery

GIVEN = GivenFile(ZoneInfo("Europe/Zurich"), datetime(2026, 11, 20, 12, tzinfo=UTC))

FIREFOX = """
    CREATE TABLE moz_places (
        id INTEGER PRIMARY KEY, url LONGVARCHAR, title LONGVARCHAR, rev_host LONGVARCHAR, visit_count INTEGER DEFAULT 0
    );
    CREATE TABLE moz_historyvisits (
        id INTEGER PRIMARY KEY, from_visit INTEGER, place_id INTEGER, visit_date INTEGER, visit_type INTEGER, session INTEGER
    );
    CREATE TABLE moz_bookmarks (
        id INTEGER PRIMARY KEY, type INTEGER, fk INTEGER DEFAULT NULL, parent INTEGER, position INTEGER,
        title LONGVARCHAR, dateAdded INTEGER, lastModified INTEGER, guid TEXT
    );
    CREATE INDEX moz_bookmarks_itemindex ON moz_bookmarks (fk, type);
    INSERT INTO moz_bookmarks (id, type, parent, title, guid) VALUES
        (1, 2, 0, '', 'root________'), (2, 2, 1, 'menu', 'menu________'), (3, 2, 1, 'toolbar', 'toolbar_____'),
        (4, 2, 1, 'tags', 'tags________'), (5, 2, 1, 'unfiled', 'unfiled_____'), (6, 2, 1, 'mobile', 'mobile______');
"""
CHROME = """
    CREATE TABLE urls (
        id INTEGER PRIMARY KEY AUTOINCREMENT, url LONGVARCHAR, title LONGVARCHAR, visit_count INTEGER DEFAULT 0 NOT NULL
    );
    CREATE TABLE visits (
        id INTEGER PRIMARY KEY, url INTEGER NOT NULL, visit_time INTEGER NOT NULL, from_visit INTEGER,
        transition INTEGER DEFAULT 0 NOT NULL, visit_duration INTEGER DEFAULT 0 NOT NULL
    );
"""


class Database:
    """A database in a file, closed between one use and the next."""

    def __init__(self, path: Path, tables: str) -> None:
        self._path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(tables)

    def add(self, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        names = columns.split()
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.executemany(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", rows
            )

    def run(self, script: str) -> None:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.executescript(script)

    def columns(self, table: str) -> set[str]:
        with closing(sqlite3.connect(self._path)) as connection:
            return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}

    def rows(self, source: type[SqliteQuery]) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.row_factory = sqlite3.Row
            connection.text_factory = lambda raw: raw.decode(errors="surrogateescape")
            return connection.execute(source.query).fetchall()

    def outcomes(self, source: type[SqliteQuery]) -> list[Found | Ignored | Rejected]:
        return [judge(source(), row, GIVEN, b"") for row in self.rows(source)]

    def found(self, source: type[SqliteQuery]) -> list[Found]:
        """Returns the events of a file of which every row is one."""
        outcomes = self.outcomes(source)
        assert all(isinstance(one, Found) for one in outcomes), outcomes
        return [one for one in outcomes if isinstance(one, Found)]

    def reasons(self, source: type[SqliteQuery]) -> list[str]:
        """Returns the reasons of all rows that are none."""
        return [one.reason for one in self.outcomes(source) if isinstance(one, Rejected)]
