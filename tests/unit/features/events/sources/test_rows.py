from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from promise_pub.features.events.sources.finding import Judged, Rejected
from promise_pub.features.events.sources.given_file import GivenFile
from promise_pub.features.events.sources.identity import key_of
from promise_pub.features.events.sources.records import read_records
from promise_pub.features.events.sources.rows import read_rows
from promise_pub.sources import Damaged, Found, Given, WrongType
from tests.unit.features.events.sources.sample_types import Visits

SCHEME = "CREATE TABLE urls (id INTEGER PRIMARY KEY, url TEXT); CREATE TABLE visits (id INTEGER PRIMARY KEY, at, url INTEGER);"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a copy?#.sqlite"


def make(path: Path, script: str = "", scheme: str = SCHEME) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(scheme + script)
    return path


def read(path: Path, source: Visits | None = None) -> list[Judged]:
    return [*read_records(source or Visits(), path, file())]


def file() -> GivenFile:
    return GivenFile(ZoneInfo("UTC"), datetime(2026, 11, 20, tzinfo=UTC))


def test_rows_are_records_with_their_rowids_as_positions(path: Path) -> None:
    found = read(
        make(
            path,
            "INSERT INTO urls VALUES (1, 'http://a'), (2, CAST(x'ff61' AS TEXT)), (3, 'b' || char(0));"
            "INSERT INTO visits VALUES (5, 1, 1), (7, 2, 9), (8, 3, 2), (900, 'x', 1), (901, 4, 3);",
        )
    )

    assert [(one.position, one.end, one.line) for one in found] == [
        (5, 6, 1),
        (7, 8, 2),
        (8, 9, 3),
        (900, 901, 4),
        (901, 902, 5),
    ]
    assert [one.outcome.text for one in found if isinstance(one.outcome, Found)] == ["http://a", "�a", "b�"]
    rejected = [one.outcome for one in found if isinstance(one.outcome, Rejected)]
    assert rejected == [
        Rejected("it has no url", b"[7, 2, null]"),
        Rejected("the time is no number", b'[900, "x", "http://a"]'),
    ]
    assert [one.key for one in found[:2]] == [key_of("visits", b"http://a 1"), key_of("visits", b"[7, 2, null]")]


def test_a_file_is_not_changed_and_nothing_is_made_beside_it(path: Path) -> None:
    make(path, "PRAGMA journal_mode = WAL; INSERT INTO urls VALUES (1, 'a'); INSERT INTO visits VALUES (1, 1, 1);")
    before = path.read_bytes()
    path.chmod(0o400)

    assert len(read(path)) == 1
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]


def test_more_rows_than_are_fetched_at_once_are_read(path: Path) -> None:
    make(
        path,
        "INSERT INTO urls VALUES (1, 'a'); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) "
        "INSERT INTO visits SELECT i, i, 1 FROM n;",
    )
    assert [one.position for one in read(path)] == [*range(1, 2_501)]


def test_columns_and_tables_may_be_more_than_are_needed_and_their_names_be_in_capitals(path: Path) -> None:
    make(
        path,
        "CREATE TABLE more (id); INSERT INTO urls VALUES (1, 'a', 0); INSERT INTO visits VALUES (1, 1, 1);",
        SCHEME.replace("url TEXT", "URL TEXT, more").replace("TABLE urls", "TABLE URLS"),
    )
    assert len(read(path)) == 1


@pytest.mark.parametrize(
    ("scheme", "reason"),
    [
        ("", "It is no SQLite database."),
        ("CREATE TABLE other (id);", "It looks like no visits: it has no table visits."),
        (SCHEME.replace("at, ", ""), "It looks like no visits: its table visits has no at."),
        (SCHEME.replace("id INTEGER PRIMARY KEY, url TEXT", "a"), "its table urls has no id, url."),
        (
            SCHEME.replace("TABLE urls", "TABLE others") + "CREATE VIEW urls AS SELECT * FROM others;",
            "it has no table urls.",
        ),
        (SCHEME.replace("TABLE urls (", "VIRTUAL TABLE urls USING fts5("), "it has no table urls."),
    ],
)
def test_a_database_without_what_is_needed_is_refused(path: Path, scheme: str, reason: str) -> None:
    if "fts5" in scheme:
        scheme = scheme.replace("id INTEGER PRIMARY KEY, url TEXT", "id, url", 1)
    make(path, scheme=scheme)
    with pytest.raises(WrongType, match=reason):
        read(path)


@pytest.mark.parametrize("content", [b"", b"x" * 5_000, b"SQLite format 3\0", b"SQLite format 3\0" + b"x" * 5_000])
def test_what_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(WrongType, match="It is no SQLite database"):
        read(path)


def test_a_database_none_of_whose_rows_can_be_read_is_refused(path: Path) -> None:
    make(path, "INSERT INTO visits VALUES (1, 1, 1);")
    with pytest.raises(WrongType, match="1 record of 1 cannot be read. The first: it has no url"):
        read(path)


def filled(path: Path) -> bytes:
    make(
        path,
        "INSERT INTO urls VALUES (1, 'a'); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO visits SELECT i, i, 1 FROM n;",
    )
    return path.read_bytes()


def test_a_database_that_is_cut_or_broken_anywhere_is_damaged_or_refused_with_no_row_taken(path: Path) -> None:
    content = filled(path)
    for cut in [*range(0, len(content), 4_096), 17, 99, 100, 101, 5_000]:
        path.write_bytes(content[:cut])
        with pytest.raises((Damaged, WrongType)) as refused:
            next(read_rows(Visits(), path, file()))
        if cut >= 8_192:
            assert isinstance(refused.value, Damaged) and str(refused.value).startswith("SQLite says of it: ")
    broken = bytearray(content)
    broken[3 * 4_096 : 3 * 4_096 + 200] = b"\xff" * 200
    path.write_bytes(broken)
    with pytest.raises(Damaged, match="SQLite says of it: "):
        read(path)


def test_a_database_whose_names_are_no_text_is_damaged_or_refused(path: Path) -> None:
    content = filled(path)
    for name in (b"urls", b"visits", b"url TEXT", b"at,"):
        assert content.count(name)
        path.write_bytes(content.replace(name, b"\xe0" * len(name)))
        with pytest.raises((Damaged, WrongType)):
            read(path)


def test_sqlite_is_interrupted_when_it_takes_too_long(path: Path) -> None:
    class Endless(Visits):
        query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, i AS at, 'a' AS url FROM n WHERE i < 1"

    make(path, "INSERT INTO urls VALUES (1, 'a');")
    with pytest.raises(Damaged, match="SQLite took longer than 0.2 s for it."):
        next(read_rows(Endless(), path, file(), seconds=0.2))


def test_rows_before_damage_that_the_check_does_not_see_are_taken(path: Path) -> None:
    class Odd(Visits):
        query = "SELECT id, at, CASE id WHEN 4 THEN abs(-9223372036854775807 - 1) ELSE 'a' END AS url FROM visits ORDER BY id"

    make(path, "INSERT INTO visits VALUES (1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1), (5, 1, 1);")
    positions = []
    with pytest.raises(Damaged, match="SQLite says of it: integer overflow."):
        for row in read_rows(Odd(), path, file()):
            positions.append(row.position)
    # Some versions of Python's module read a row ahead, and lose the last one with the next.
    assert positions in ([1, 2], [1, 2, 3])


def test_a_type_without_an_identity_has_the_row_as_one(path: Path) -> None:
    class Odd(Visits):
        def event(self, record: sqlite3.Row, given: Given) -> Found:
            return Found(at=given.epoch(record["at"]), text="a")

    make(path, "INSERT INTO visits VALUES (1, 1, 1);")
    assert [one.key for one in read(path, Odd())] == [key_of("visits", b"[1, 1, null]")]


def test_a_file_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(path)
