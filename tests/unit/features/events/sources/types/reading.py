"""Files of types, read as an import reads them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from promise_pub.features.events.sources.finding import Judged, Rejected, read_lines
from promise_pub.features.events.sources.given_file import GivenFile
from promise_pub.sources import Found, Ignored, Lines, WrongType


def read_file(source: Lines, content: bytes, zone: str = "UTC", size: int = 1 << 16) -> Sequence[Judged]:
    chunks = (content[start : start + size] for start in range(0, len(content), size))
    return [*read_lines(source, chunks, GivenFile(ZoneInfo(zone), datetime(2026, 11, 20, tzinfo=UTC)))]


def found_in(source: Lines, content: bytes, zone: str = "UTC") -> Sequence[Found]:
    """Returns the events of a file of which every record is one."""
    outcomes = [one.outcome for one in read_file(source, content, zone)]
    assert all(isinstance(one, Found) for one in outcomes), outcomes
    return [one for one in outcomes if isinstance(one, Found)]


def reasons_in(source: Lines, content: bytes) -> Sequence[str]:
    """Returns the reasons of all records that are none."""
    outcomes = (one.outcome for one in read_file(source, content))
    return [one.reason for one in outcomes if isinstance(one, Rejected)]


def check_every_cut(make: type[Lines], content: bytes) -> None:
    """Asserts that a file that ends or begins anywhere is read, or refused as a whole, and that its parts have the whole's
    events."""
    whole = read_file(make(), content)
    for cut in range(len(content) + 1):
        for part in (content[:cut], content[cut:]):
            with suppress(WrongType):
                records = read_file(make(), part, size=13)
                assert sum(one.end - one.position for one in records) == len(part)
                assert all(isinstance(one.outcome, Found | Ignored | Rejected) for one in records)
    for one in whole:
        following = read_lines(
            make(),
            [content[one.position :]],
            GivenFile(ZoneInfo("UTC"), datetime(2026, 11, 20, tzinfo=UTC)),
            one.position,
            one.line,
        )
        assert [*following] == [record for record in whole if record.position >= one.position]
