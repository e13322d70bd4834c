"""Repeats within a file: counted exactly, in bounded memory, with nothing left on the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.input import duplicates
from promise_pub.delivery.input.duplicates import RepeatCounter
from promise_pub.errors import DiskFull, StoredFileError
from promise_pub.records import Row


async def repeats(rows: list[tuple[str, ...]], column: int | None, at_once: int = 3) -> int:
    numbered = [Row(number, *fields) for number, fields in enumerate(rows, start=1)]
    async with RepeatCounter(column) as counter:
        for start in range(0, len(numbered), at_once):
            await counter.add(numbered[start : start + at_once])
        return await counter.count()


@pytest.mark.parametrize(
    ("rows", "column", "count"),
    [
        ([], None, 0),
        ([("a",)], 0, 0),
        ([("a",), ("a",), ("a",)], 0, 2),
        ([("1", "a"), ("2", "a"), ("3", "b")], 1, 1),
        ([("1", "a"), ("2", "a"), ("3", "b")], 0, 0),
        ([("1", "a"), ("2", "a"), ("1", "a")], None, 1),
        ([("ab", "c"), ("a", "bc"), ("", "abc")], None, 0),
        ([("A",), ("a",), ("a ",), ("ä",), ("a\u0308",), ("",)], 0, 0),  # alike is not the same
    ],
)
async def test_a_row_that_says_the_same_as_an_earlier_one_is_a_repeat(
    rows: list[tuple[str, ...]], column: int | None, count: int
) -> None:
    assert await repeats(rows, column) == count


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=2)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(TEXT, TEXT), max_size=30), st.sampled_from([None, 0, 1]))
def test_any_rows_are_counted_as_python_counts_them(rows: list[tuple[str, str]], column: int | None) -> None:
    keys = Counter(row if column is None else row[column] for row in rows)
    assert asyncio.run(repeats([*rows], column)) == sum(keys.values()) - len(keys)


def on_the_disk() -> list[int]:
    """The sizes of SQLite's temporary files that this process has open, all of which have lost their name."""
    sizes = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            name, size = str(descriptor.readlink()), descriptor.stat().st_size
        except OSError:
            continue  # the one that reads the folder
        if "etilqs_" in name:
            assert name.endswith("(deleted)")
            sizes.append(size)
    return sizes


async def test_many_rows_go_to_the_disk_and_nothing_of_them_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(duplicates, "_CACHE", 64)
    async with RepeatCounter(0) as counter:
        for start in range(0, 100_000, 1_000):
            rows = [Row(n, str(n % 60_000)) for n in range(start, start + 1_000)]
            await counter.add(rows)
        assert sum(on_the_disk()) > 100_000 * duplicates.SIZE  # no more than 64 KiB are in memory
        assert await counter.count() == 40_000
    assert on_the_disk() == []


async def test_the_loop_goes_on_while_it_counts() -> None:
    async with RepeatCounter(0) as counter:
        await counter.add([Row(n, str(n)) for n in range(200_000)])
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        assert await counter.count() == 0
        task.cancel()
        assert turns > 10


async def test_whoever_is_cancelled_does_not_wait_for_the_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A count that would go on for ever is interrupted."""
    monkeypatch.setattr(
        duplicates,
        "_COUNT",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT count(*) FROM n",
    )
    async with RepeatCounter(0) as counter:
        task = asyncio.create_task(counter.count())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 30)


class Broken:
    """A database whose disk has a fault."""

    def __init__(self, code: int) -> None:
        self.error = sqlite3.OperationalError("it is broken")
        self.error.sqlite_errorcode = code
        self.closed = False

    def execute(self, *_: Any) -> None:
        raise self.error

    def interrupt(self) -> None:
        """There is nothing to interrupt."""

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("code", "error"),
    [(sqlite3.SQLITE_FULL, DiskFull), (sqlite3.SQLITE_IOERR, StoredFileError)],
)
async def test_a_disk_that_is_full_or_broken_is_told(
    monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
) -> None:
    database = Broken(code)
    monkeypatch.setattr(duplicates.sqlite3, "connect", lambda *_, **__: database)
    with pytest.raises(error):
        await repeats([("a",)], 0)
    assert database.closed
