"""Statistics as the database knows them, and what a batch of events changes in their rows. Values without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

Kind = Literal["counting", "measuring", "latest", "distinct"]
State = Literal["going", "set_aside", "absent"]
"""Counted; no longer counted, for its trouble; of a plugin that is not installed."""

OTHERS = "\x1e"
"""The key of all keys that came when a window was full. No plugin can give it."""
SEPARATOR = "\x1f"
"""Stands between the parts of a key. No plugin can give it."""
WHOLE = 0
"""The width of all time, whose only window starts at ORIGIN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A statistic as its rows can be read without its code. `intervals` are widths in seconds, ascending; none for Latest.

    `backlog` is in seconds. `given` is the plugin's own layout, any JSON.
    """

    name: str
    version: int
    kind: Kind
    summary: str
    columns: tuple[str, ...]
    intervals: tuple[int, ...]
    topics: tuple[str, ...]
    own: bool
    backlog: int | None
    unit: str
    given: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A version of a statistic, as the database has it.

    Every event from `counted_from` up to `position` is in its rows, and no other; and where windows were carried over from
    an older version: those that start before `carried_until` had counted up to `carried_position`.
    """

    id: int
    layout: Layout
    counted_from: int
    position: int
    carried_until: datetime | None = None
    carried_position: int | None = None
    shown: bool = True
    state: State = "going"
    trouble: str | None = None
    left_out: int = 0


class CellKey(NamedTuple):
    """The place of a count: a window, which starts at `start` and is `width` seconds wide, a key, and a bucket of values.

    The bucket is 0 for Counting."""

    statistic: int
    width: int
    start: datetime
    key: str
    bucket: int


class Cell(NamedTuple):
    """An addition to a count. `total` and `most` are the sum and the greatest of values, in thousandths."""

    number: int
    total: int = 0
    most: int | None = None


class SketchKey(NamedTuple):
    statistic: int
    width: int
    start: datetime
    key: str


class LatestKey(NamedTuple):
    statistic: int
    key: str


class Entry(NamedTuple):
    """The newest entry of a key; `value` is JSON text. Of two the one with the greater (at, seq) stays."""

    at: datetime
    seq: int
    value: str


class LeftOut(NamedTuple):
    """An event that a statistic failed at."""

    statistic: int
    seq: int
    error: str


@dataclass(slots=True)
class Changes:
    """Changes that events make, in rows by their keys; sketches are the registers of a HyperLogLog of 4,096 bytes."""

    cells: dict[CellKey, Cell] = field(default_factory=dict)
    entries: dict[LatestKey, Entry] = field(default_factory=dict)
    sketches: dict[SketchKey, bytes] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Returns how many rows are changed."""
        return len(self.cells) + len(self.entries) + len(self.sketches)


KnownKeys = Mapping[tuple[int, int, datetime], frozenset[str]]
"""Keys that windows have already, by statistic, width and start; only for windows that may become full."""
