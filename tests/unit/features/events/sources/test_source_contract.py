"""The contract held by types of each frame, and broken by types that are wrong."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from promise_pub.sources import Found, Given, Ignored, NoRecord
from tests.unit.features.events.sources.sample_types import Headed, Listed, Plain, Sized, Visits, Yearless
from tests.unit.features.events.sources.source_contract import SourceContract


def at(seconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


class TestPlain(SourceContract):
    source = Plain
    sample = b"\xef\xbb\xbf1 a\r\n\n2 b\n  c\nx y\n1 a\n3 d"
    expected: ClassVar = [Found(at(1), "a"), Found(at(2), "b\n  c"), Found(at(1), "a"), Found(at(3), "d")]
    rejected = 1


class TestHeaded(SourceContract):
    source = Headed
    sample = b"#word \n1 a\n2 b\n"
    expected: ClassVar = [Found(at(1), "word a"), Found(at(2), "word b")]


class TestYearless(SourceContract):
    source = Yearless
    zone = "Europe/Zurich"
    modified = datetime(2026, 1, 2, tzinfo=UTC)
    sample = b"11-30 a\n12-31 b\n01-01 c\n02-30 d\n12-31 e\n01-02 f\n"
    # Times are those of Zurich in winter; the month of a day that there is not is passed over.
    expected: ClassVar = [
        Found(datetime(2024, 11, 29, 23, tzinfo=UTC), "a"),
        Found(datetime(2024, 12, 30, 23, tzinfo=UTC), "b"),
        Found(datetime(2024, 12, 31, 23, tzinfo=UTC), "c"),
        Found(datetime(2024, 12, 30, 23, tzinfo=UTC), "e"),
        Found(datetime(2025, 1, 1, 23, tzinfo=UTC), "f"),
    ]
    rejected = 1


class TestSized(SourceContract):
    source = Sized
    sample = b"0001abcd0000none0002----0001abcd0003cut"
    expected: ClassVar = [Found(at(1), "abcd"), Found(at(1), "abcd")]
    rejected = 2


class TestListed(SourceContract):
    source = Listed
    sample = b'[[1, "a"], [0, "b"], [2, "c"]]'
    expected: ClassVar = [Found(at(1), "a", identity=b'[1, "a"]'), Found(at(2), "c", identity=b'[2, "c"]')]
    rejected = 1


def database(path: Path) -> bytes:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE urls (id INTEGER PRIMARY KEY, url TEXT);"
            "CREATE TABLE visits (id INTEGER PRIMARY KEY, at INTEGER, url INTEGER);"
            "INSERT INTO urls VALUES (1, 'http://a'); INSERT INTO visits VALUES (1, 1, 1), (2, 2, 9), (5, 2, 1);"
        )
    return path.read_bytes()


class TestVisits(SourceContract):
    source = Visits
    expected: ClassVar = [
        Found(at(1), "http://a", identity=b"http://a 1"),
        Found(at(2), "http://a", identity=b"http://a 2"),
    ]
    rejected = 1

    @pytest.fixture(autouse=True)
    def _sample(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "sample", database(tmp_path / "made"), raising=False)


class Remembering(Plain):
    """A type whose events depend on what was read before."""

    before = b""

    def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
        text, self.before = self.before, record["text"]
        return Found(at(1), text.decode("latin-1"))


class Unequal(Plain):
    """A type whose records are told apart by what differs each time."""

    count: ClassVar = iter(range(1_000_000))

    def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
        return Found(at(1), "a", identity=b"%d" % next(self.count))


class Unkept(Plain):
    """A type whose data JSON cannot show."""

    def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
        if not record["at"].isdigit():
            raise NoRecord("it has no number")
        return Found(at(1), "a", data={"raw": record["text"]})


@pytest.mark.parametrize(
    ("source", "test"),
    [
        (Remembering, "test_a_file_that_is_read_in_two_parts_has_the_events_of_one_that_is_read_at_once"),
        (Unequal, "test_records_have_the_same_keys_each_time"),
        (Unkept, "test_a_sample_with_wrong_bytes_is_accounted_for_or_refused"),
        (Plain, "test_the_sample_has_the_events_that_are_expected"),
    ],
)
def test_a_type_that_is_wrong_breaks_the_contract(source: Any, test: str) -> None:
    class Broken(SourceContract):
        sample = b"1 a\n2 b\n3 c\n"
        expected: ClassVar = [Found(at(1), "a")]

    Broken.source = source
    with pytest.raises((AssertionError, TypeError)):
        getattr(Broken(), test)()
