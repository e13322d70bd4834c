"""Changes of rows as columns of statements, sorted by the tables' primary keys. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from promise_pub.features.stats.records import Cell, CellKey, Entry, LatestKey

T = TypeVar("T")

ROWS = 2_500  # of a statement, whose values are encoded on the event loop

_CELLS = ("statistics", "widths", "starts", "keys", "buckets", "counts", "totals", "mosts")
_ENTRIES = ("statistics", "keys", "ats", "seqs", "values")


def columns_of_cells(cells: Mapping[CellKey, Cell]) -> list[dict[str, Sequence[Any]]]:
    """Returns the parameters of each statement that adds to counts."""
    # All of them sorted at once would keep the event loop waiting: no other thread has a turn meanwhile.
    groups: defaultdict[tuple[int, int], list[CellKey]] = defaultdict(list)
    for key in cells:
        groups[key.statistic, key.width].append(key)
    return _statements(_CELLS, [(*key, *cells[key]) for group in sorted(groups) for key in sorted(groups[group])])


def columns_of_entries(entries: Mapping[LatestKey, Entry]) -> list[dict[str, Sequence[Any]]]:
    """Returns the parameters of each statement that sets entries."""
    return _statements(_ENTRIES, [(*key, *entries[key]) for key in sorted(entries)])


def pieces(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for n in range(0, len(items), size):
        yield items[n : n + size]


def _statements(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Sequence[Any]]]:
    return [dict(zip(names, zip(*piece, strict=True), strict=True)) for piece in pieces(rows, ROWS)]
