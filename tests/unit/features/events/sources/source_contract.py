"""The contract of types of sources, which every type's tests inherit.

class TestMine(SourceContract):
    source = Mine
    sample = b"..."
    expected = [Found(...), ...]
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest

from promise_pub.features.events.sources.clocks import first_year
from promise_pub.features.events.sources.finding import Judged, Rejected
from promise_pub.features.events.sources.given_file import GivenFile
from promise_pub.features.events.sources.months import scan_months
from promise_pub.features.events.sources.reading import ByteStream
from promise_pub.features.events.sources.records import read_records
from promise_pub.sources import Damaged, Fixed, Found, Ignored, Lines, SourceType, SqliteQuery, WrongType

MOST_CUTS = 1_000  # of a sample; a longer one is cut at as many places, and at each near its end
RANDOM = 200  # files of random bytes, and as many of the sample with some bytes changed


class SourceContract:
    """The promises of a type, with options, and a sample of which it makes the expected events.

    A record of the sample that is rejected or ignored is not among them; `rejected` counts the former.
    """

    source: ClassVar[type[SourceType[Any]]]
    options: ClassVar[Mapping[str, str]] = {}
    sample: ClassVar[bytes]
    expected: ClassVar[Sequence[Found]]
    rejected: ClassVar[int] = 0
    zone: ClassVar[str] = "UTC"
    modified: ClassVar[datetime] = datetime(2026, 11, 20, tzinfo=UTC)
    user: ClassVar[str | None] = None

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self._path = tmp_path / "sample"

    def given(self, state: Mapping[str, Any] | None = None) -> GivenFile:
        source, year = self.source(self.options), None
        if isinstance(source, Lines) and source.month:
            year = first_year(scan_months(source, [self.sample]), self.modified)
        return GivenFile(
            ZoneInfo(self.zone), self.modified, user=self.user, year=year, state=dict(state) if state else None
        )

    def read(
        self, content: bytes, given: GivenFile | None = None, position: int = 0, line: int = 1
    ) -> Iterator[Judged]:
        source, given = self.source(self.options), given or self.given()
        if isinstance(source, SqliteQuery):
            self._path.write_bytes(content)
            return read_records(source, self._path, given)
        return read_records(source, ByteStream(io.BytesIO(content), 1 << 30), given, position, line)

    def read_any(self, content: bytes) -> list[Judged] | None:
        """Returns the records of a file that may be anything, as far as it can be read; None where it is not of the type."""
        records: list[Judged] = []
        try:
            for record in self.read(content):
                records.append(record)
        except Damaged:
            return records
        except WrongType:
            assert all(record.outcome == Ignored("header") for record in records)
            return None
        if issubclass(self.source, Lines | Fixed):
            self.check_places(records, len(content))
        return records

    def check_places(self, records: Sequence[Judged], end: int) -> None:
        """Asserts that every byte belongs to one record."""
        assert [0, *(record.end for record in records)] == [*(record.position for record in records), end]

    def cuts(self, length: int) -> Sequence[int]:
        near_the_end = range(max(0, length - 20), length + 1)
        return sorted({*range(0, length, 1 + length // MOST_CUTS), *near_the_end})

    def test_the_sample_has_the_events_that_are_expected(self) -> None:
        outcomes = [record.outcome for record in self.read(self.sample)]

        assert [outcome for outcome in outcomes if isinstance(outcome, Found)] == [*self.expected]
        assert sum(isinstance(outcome, Rejected) for outcome in outcomes) == self.rejected
        assert self.expected

    def test_what_it_makes_of_the_sample_can_be_kept_as_json(self) -> None:
        for found in self.expected:
            data = dict(found.data)
            assert json.loads(json.dumps(data, allow_nan=False)) == data
            assert isinstance(found.text, str) and all(isinstance(tag, str) for tag in found.tags)

    def test_records_have_the_same_keys_each_time(self) -> None:
        assert [*self.read(self.sample)] == [*self.read(self.sample)]

    def test_events_have_an_identity_where_no_bytes_are_theirs(self) -> None:
        if not issubclass(self.source, Lines | Fixed):
            assert all(found.identity for found in self.expected)

    def test_a_file_that_is_cut_anywhere_is_read_or_refused(self) -> None:
        whole = {(record.key, record.position) for record in self.read(self.sample)}
        for cut in self.cuts(len(self.sample)):
            records = self.read_any(self.sample[:cut]) or []
            if issubclass(self.source, Lines | Fixed):
                # The last record may go on, and so may the one before where a last line is not whole.
                over = records[:-1] if records and records[-1].ended else records[:-2]
                assert {(record.key, record.position) for record in over} <= whole

    def test_a_file_that_begins_anywhere_is_read_or_refused(self) -> None:
        for cut in self.cuts(len(self.sample)):
            self.read_any(self.sample[cut:])

    def test_random_bytes_are_accounted_for_or_refused(self) -> None:
        random = Random(7)
        for size in range(RANDOM):
            self.read_any(random.randbytes(size))

    def test_a_sample_with_wrong_bytes_is_accounted_for_or_refused(self) -> None:
        random = Random(7)
        for number in range(RANDOM):
            content = bytearray(self.sample)
            for _ in range(1 + number % 5):
                content[random.randrange(len(content))] = random.randrange(256)
            for record in self.read_any(bytes(content)) or []:
                if isinstance(record.outcome, Found):
                    json.dumps(dict(record.outcome.data), allow_nan=False)

    def test_a_file_that_is_read_in_two_parts_has_the_events_of_one_that_is_read_at_once(self) -> None:
        whole = [*self.read(self.sample)]
        if not issubclass(self.source, Lines | Fixed):
            return
        for number, last in enumerate(whole[:-1], 1):
            given = self.given()
            try:
                before = [*self.read(self.sample[: last.end], given)]
            except WrongType:
                # Nothing of it is taken, and the whole is read the next time.
                continue
            state = json.loads(json.dumps(given.state))
            after = self.read(self.sample, self.given(state), last.end, whole[number].line)
            assert [*before, *after] == whole
