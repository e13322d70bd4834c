"""Rows of a statistic as series of values, one for each window. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Literal, cast

from promise_pub.features.stats.ports import Mark
from promise_pub.features.stats.questions import MEASURES, OTHER, Row
from promise_pub.features.stats.records import OTHERS, SEPARATOR
from promise_pub.text import printable

MOST_KEYS = 8  # that have a colour of their own
PERCENTILES = ("p50", "p95", "p99")

Value = float | None


@dataclass(frozen=True, slots=True)
class Series:
    """Values of a key or a measure, one for each window; None where nothing is known. `number` is that of its style, 0 for
    keys that are summed up."""

    number: int
    name: str
    values: Sequence[Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart of windows that are `width` seconds wide and start at `starts`; `cut` tells that there are earlier ones."""

    title: str
    unit: str
    kind: Literal["bars", "lines"]
    width: int
    starts: Sequence[datetime]
    series: Sequence[Series]
    marks: Sequence[Mark] = ()
    cut: bool = False

    @property
    def empty(self) -> bool:
        return not any(value for one in self.series for value in one.values)


def name_of_key(key: str, nothing: str) -> str:
    """Returns a key as people read it; `nothing` for that of a statistic without columns."""
    if key == OTHERS:
        return OTHER
    return printable(" · ".join(part or "–" for part in key.split(SEPARATOR))) if key else nothing


def series_of_keys(rows: Sequence[Row], starts: Sequence[datetime], nothing: str) -> list[Series]:
    """Returns a series for each of the MOST_KEYS keys with the greatest sums, the greatest first, and one for the others."""
    counted = cast(list[tuple[datetime, str, float]], [(row.at, row.key, row.values[0]) for row in rows])
    sums = defaultdict[str, float](float)
    for _, key, count in counted:
        sums[key] += count
    single = sorted((key for key in sums if key != OTHERS), key=lambda key: (-sums[key], key))[:MOST_KEYS]
    places = {start: place for place, start in enumerate(starts)}
    values = {key: [0.0] * len(starts) for key in [*single, OTHERS]}
    others = values[OTHERS]
    for start, of_window in groupby(counted, itemgetter(0)):
        # A moment is looked up once a window: it takes longer than all the rest of a row.
        place = places.get(start)
        if place is not None:
            for _, key, count in of_window:
                values.get(key, others)[place] += count
    series = [Series(number, name_of_key(key, nothing), values[key]) for number, key in enumerate(single, 1)]
    return [*series, Series(0, OTHER, values[OTHERS])] if len(sums) > len(single) else series


def series_of_measures(rows: Iterable[Row], starts: Sequence[datetime]) -> list[Series]:
    """Returns a series for each percentile; there is one row at most for each window."""
    found = {row.at: dict(zip(MEASURES["measuring"], cast(tuple[Value, ...], row.values), strict=True)) for row in rows}
    return [
        Series(number, name, [found[start][name] if start in found else None for start in starts])
        for number, name in enumerate(PERCENTILES, 1)
    ]
