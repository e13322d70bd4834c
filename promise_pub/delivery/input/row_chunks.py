"""The fates of a file's records, a piece of the file at a time: a byte for each record, or one for all of them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class ChunkPlace(NamedTuple):
    """A piece of a file: the bytes from `offset` on, which begin on `line` (from 1), and the number of its first row."""

    offset: int
    line: int
    number: int
    bytes: int
    checksum: int
    """CRC-32 of its bytes."""


class Known(NamedTuple):
    """A record as the index has it. `number` is None for a record that is no row; `repeats` is the line of the earlier
    row whose mail it repeats, if it does."""

    line: int
    number: int | None
    group: int
    repeats: int | None


@dataclass(frozen=True, slots=True)
class RowChunk:
    """The records of one piece of a file, in its order, each with the place of its group among the run's groups.

    `groups` is one byte where all have the same. `line_offsets` are counted from the piece's line, four bytes each; empty
    where each record takes one line. `repeats` are pairs of a record's place and a line, eight bytes each.
    """

    place: ChunkPlace
    records: int
    groups: bytes
    line_offsets: bytes = b""
    repeats: bytes = b""

    @classmethod
    def make(
        cls, place: ChunkPlace, lines: Sequence[int], groups: bytes, repeats: Iterable[tuple[int, int]] = ()
    ) -> RowChunk:
        """Makes a chunk of records that start on these lines, which ascend; `groups` has a byte for each of them."""
        offsets = b""
        if lines[0] != place.line or lines[-1] - lines[0] != len(lines) - 1:
            offsets = array("I", [line - place.line for line in lines]).tobytes()
        pairs = array("q", [number for pair in repeats for number in pair])
        same = groups[:1] if groups.count(groups[:1]) == len(groups) else groups
        return cls(place, len(lines), same, offsets, pairs.tobytes())

    def counts(self) -> Counter[int]:
        """Returns the number of records by group."""
        return Counter({self.groups[0]: self.records}) if len(self.groups) == 1 else Counter(self.groups)

    @property
    def last_line(self) -> int:
        """The line on which its last record starts."""
        return self.place.line + self._offsets()[-1]

    def find_places(self, groups: Collection[int], after: int) -> Sequence[int]:
        """Returns the places of the records of these groups that start after a line, ascending."""
        first = bisect_right(self._offsets(), after - self.place.line)
        if len(self.groups) == 1:
            return range(first, self.records) if self.groups[0] in groups else ()
        return [at for at, group in enumerate(self.groups[first:], first) if group in groups]

    def read_known(self, places: Iterable[int], rejected: int) -> Iterator[Known]:
        """Yields the records at these places, which ascend. `rejected` is the group of those that are no rows.

        A piece of tiny rows has tens of thousands of records: callers take a slice of them at a time.
        """
        groups = self.groups * self.records if len(self.groups) == 1 else self.groups
        offsets, pairs = self._offsets(), array("q", self.repeats)
        repeats = dict(zip(pairs[::2], pairs[1::2], strict=True))
        number, before = self.place.number, 0
        for at in places:
            number += at - before - groups.count(rejected, before, at)
            before, group = at, groups[at]
            yield Known(self.place.line + offsets[at], None if group == rejected else number, group, repeats.get(at))

    def _offsets(self) -> Sequence[int]:
        return array("I", self.line_offsets) if self.line_offsets else range(self.records)


class ChunkBuilder:
    """The groups of the records of one piece, while they are worked out."""

    def __init__(self, place: ChunkPlace, lines: Sequence[int], rejected: set[int], rejected_group: int) -> None:
        self._place = place
        self._lines = lines
        self._groups = bytearray([rejected_group]) * len(lines)
        self._rows = [at for at, line in enumerate(lines) if line not in rejected] if rejected else range(len(lines))
        self._repeats: list[tuple[int, int]] = []

    @property
    def last_number(self) -> int:
        """The number of the last row; that before the first where there is none."""
        return self._place.number + len(self._rows) - 1

    def set_rows(self, first: int, last: int, group: int) -> None:
        """Sets the group of the rows with these numbers."""
        start, end = first - self._place.number, last - self._place.number + 1
        if isinstance(self._rows, range):
            self._groups[start:end] = bytes([group]) * (end - start)
        else:
            for at in self._rows[start:end]:
                self._groups[at] = group

    def find(self, line: int) -> tuple[int, int]:
        """Returns the place and the number of the row that starts on a line."""
        at = bisect_left(self._lines, line)
        return at, self._place.number + bisect_left(self._rows, at)

    def set_record(self, at: int, group: int, repeats: int | None) -> None:
        """Sets the group of one record, and the line that it repeats."""
        self._groups[at] = group
        if repeats is not None:
            self._repeats.append((at, repeats))

    def finish(self) -> RowChunk:
        return RowChunk.make(self._place, self._lines, bytes(self._groups), self._repeats)
