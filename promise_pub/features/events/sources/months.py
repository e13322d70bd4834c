"""Months of a text whose times have no year, found before it is read, so that the year of its first record can be told."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

from promise_pub.features.events.sources.clocks import MONTHS
from promise_pub.features.events.sources.finding import find_records
from promise_pub.sources import Lines

_NUMBERS = {name.lower().encode(): number for name, number in MONTHS.items()}
_NUMBERS |= {b"%d" % number: number for number in MONTHS.values()}


def scan_months(source: Lines, chunks: Iterable[bytes]) -> Iterator[int]:
    """Yields the months of the records that begin with one, where the type has times without a year; none for any other."""
    if source.month is None:
        return
    # A type may remember the lines that it was asked about, and is asked again about them when they are read.
    for record in find_records(copy.copy(source), chunks):
        found = source.month.match(record.content)
        if found and (number := _NUMBERS.get(found[1].lower()[:3].lstrip(b"0"))):
            yield number
