"""Questions about rows of a statistic, and what answers them. Values and Protocols, without behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from promise_pub.features.stats.records import Kind, LeftOut, Registered

MOST_ROWS = 100_000
"""Rows that are put together at once."""
BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)

MEASURES: dict[Kind, tuple[str, ...]] = {
    "counting": ("count",),
    "measuring": ("count", "mean", "p50", "p95", "p99", "max"),
    "distinct": ("about",),
    "latest": ("value",),
}
"""The values of a row, by the kind of the statistic."""
OTHER = "other"
"""Stands for keys that are summed up."""


class Gap(NamedTuple):
    """Events that a statistic never counted: those after a number, up to another."""

    after: int
    up_to: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A version of a statistic. `next` is the newer one that is counted beside it, and not yet shown."""

    registered: Registered
    next: Registered | None = None
    gaps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """A version of a statistic with the first events that it left out, its gaps, the other versions that can be read, and
    the start of its first window of each width."""

    known: Known
    others: Sequence[int] = ()
    left_out: Sequence[LeftOut] = ()
    gaps: Sequence[Gap] = ()
    oldest: Mapping[int, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Rows of one statistic: of windows that are `width` wide and start at `since` or later, and before `until`.

    For Latest, which has no windows, the moments are those of its entries. `keys` has a value for each column, None for
    any.
    """

    statistic: Registered
    width: int
    since: datetime = BEGINNING
    until: datetime = END
    keys: tuple[str | None, ...] = ()
    descending: bool = True


class Row(NamedTuple):
    """A row. The key is as it is stored.

    `values` are a count; the count, mean, p50, p95, p99 and greatest value; about how many; or a value as JSON text.
    `at` is the window's start, or the moment of an entry.
    """

    at: datetime
    key: str
    values: tuple[float | str | None, ...]


class Spark(NamedTuple):
    """The sum of a statistic's counts in a window."""

    start: datetime
    total: int


class StatisticsReader(Protocol):
    """Statistics as they are read. Every method raises a kind of DatabaseError, and takes a few seconds at most."""

    async def list(self) -> Sequence[Known]:
        """Returns the versions that are shown, by name, and new statistics of which none is yet."""

    async def sparks(self, asked: Mapping[int, tuple[int, datetime]]) -> Mapping[int, Sequence[Spark]]:
        """Returns the sums of windows of a width since a moment, by statistic."""

    async def find(self, name: str, version: int | None = None) -> Details:
        """Returns one: the version that is shown unless another is named. Raises StatisticNotFound."""

    async def page(self, selection: Selection, limit: int, skip: int) -> tuple[Sequence[Row], int]:
        """Returns rows by window and key, and the number of all of them."""

    async def whole(self, selection: Selection, top: int | None = None) -> Sequence[Row]:
        """Returns every row, ascending, MOST_ROWS and one at most.

        With `top` the rows of all but so many keys are one for each window, of the key OTHERS. Those with most are kept.
        """
