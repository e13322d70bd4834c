"""Finds the first record of a file that is not that of a report, by the report's hashes of blocks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from promise_pub.delivery.evidence.blocks import BlockHasher, Blocks
from promise_pub.delivery.input.chunks import Record, in_order
from promise_pub.records import Batch, Row


class Unlike(StrEnum):
    """The ways in which a file's records stop being those of a report."""

    OTHER = "other"
    """The place holds a record that is another."""
    ENDED = "ended"
    """The file ends, and the report has more: the place is the file's last record."""
    MORE = "more"
    """The file goes on, and the report has no more: the place is the first record too many."""


class Place(NamedTuple):
    """The records of a file, from `first` to `last`, in which the first difference is; None: the file has no record."""

    unlike: Unlike
    first: Record | None
    last: Record | None


def describe_records(batch: Batch, bodies: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[Record]]:
    """Returns what the records of a batch with lines say, in bytes, and the records; both in the order of the file."""
    records = in_order(batch)
    if not batch.rejected:
        return bodies, records
    of_rows = iter(bodies)
    said = [
        next(of_rows) if isinstance(one, Row) else b"\0" + one.excerpt.encode(errors="replace") for _, one in records
    ]
    return said, records


class BlockComparison:
    """The comparison of a file's records with a report's blocks, as the file is read. Holds no more than two records."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._hasher = BlockHasher(blocks.size)
        self._compared = 0
        # The first record of the block that is not complete yet, and the last record so far.
        self._first: Record | None = None
        self._last: Record | None = None
        self._place: Place | None = None

    def add(self, said: Sequence[bytes], records: Sequence[Record]) -> None:
        """Takes the next records, as `describe_records` returns them."""
        if self._place or not records:
            return
        start = 0
        for end, written in self._hasher.add(said):
            self._last = records[end - 1]
            self._compare(written, self._first or records[start])
            if self._place:
                return
            self._first, start = None, end
        if start < len(records):
            self._first = self._first or records[start]
        self._last = records[-1]

    def finish(self) -> Place | None:
        """Returns the place of the first difference; None where all records are equal."""
        if self._place:
            return self._place
        if written := self._hasher.finish():
            self._compare(written, self._first)
        if not self._place and self._compared < len(self._blocks.hashes):
            self._place = Place(Unlike.ENDED, self._last, self._last)
        return self._place

    def _compare(self, written: str, first: Record | None) -> None:
        hashes = self._blocks.hashes
        if self._compared >= len(hashes):
            self._place = Place(Unlike.MORE, first, first)
        elif written != hashes[self._compared]:
            self._place = Place(Unlike.OTHER, first, self._last)
        self._compared += 1
