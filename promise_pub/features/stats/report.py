"""Statistics as all their faces show them: the list of them, and a table of rows of one. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from promise_pub.errors import BadParameter
from promise_pub.features.stats.asked import Asked
from promise_pub.features.stats.intervals import end_of, width_text
from promise_pub.features.stats.questions import (
    BEGINNING,
    END,
    MEASURES,
    MOST_ROWS,
    OTHER,
    Details,
    Known,
    Row,
    StatisticsReader,
)
from promise_pub.features.stats.records import OTHERS, SEPARATOR, WHOLE, Kind, Layout, Registered
from promise_pub.text import counted
from promise_pub.times import rfc3339

_EMPTY: dict[Kind, tuple[float | None, ...]] = {
    "counting": (0,),
    "measuring": (0, None, None, None, None, None),
    "distinct": (0,),
}
LIST_COLUMNS = (
    *("name", "summary", "kind", "intervals", "unit", "version", "state", "trouble", "position", "behind"),
    *("left_out", "gaps", "rebuilding"),
)


@dataclass(frozen=True, slots=True)
class Overview:
    """The list of statistics. `newest` is the number of the journal's last event."""

    known: Sequence[Known]
    newest: int

    def as_json(self) -> list[dict[str, Any]]:
        return [describe(one, self.newest) for one in self.known]

    def cells(self) -> list[list[object]]:
        """Returns the values in the order of LIST_COLUMNS."""
        told = ({**one, "intervals": " ".join(one["intervals"])} for one in self.as_json())
        return [[one[name] for name in LIST_COLUMNS] for one in told]


def describe(known: Known, newest: int) -> dict[str, Any]:
    """Returns what is told of a statistic without its rows."""
    statistic, layout = known.registered, known.registered.layout
    return {
        "name": layout.name,
        "summary": layout.summary,
        "kind": layout.kind,
        "intervals": [*map(width_text, layout.intervals)],
        "unit": layout.unit,
        "version": layout.version,
        "state": statistic.state,
        "trouble": statistic.trouble,
        "position": statistic.position,
        "behind": behind(statistic, newest),
        "left_out": statistic.left_out,
        "gaps": known.gaps,
        "rebuilding": rebuilding(known, newest),
    }


def behind(statistic: Registered, newest: int) -> int:
    """Returns how many events are not counted yet."""
    return max(0, newest - statistic.position)


def rebuilding(known: Known, newest: int) -> int | None:
    """Returns percents of the events that a newer version has counted; None where there is none."""
    statistic = known.next or (None if known.registered.shown else known.registered)
    if statistic is None:
        return None
    events = newest - statistic.counted_from + 1
    counted_events = statistic.position - statistic.counted_from + 1
    return max(0, min(100, 100 * counted_events // events)) if events > 0 else 100


def describe_layout(layout: Layout) -> dict[str, Any]:
    """Returns what rows of a statistic look like."""
    measures = [{"name": name, "unit": _unit_of(layout, name)} for name in MEASURES[layout.kind]]
    return {
        "name": layout.name,
        "version": layout.version,
        "kind": layout.kind,
        "summary": layout.summary,
        "columns": [*layout.columns],
        "measures": measures,
        "intervals": [*map(width_text, layout.intervals)],
        "topics": [*layout.topics],
        "own": layout.own,
        "backlog": layout.backlog,
        "layout": layout.given,
    }


def _unit_of(layout: Layout, measure: str) -> str:
    counts = layout.kind == "measuring" and measure == "count"
    return "" if counts or layout.kind == "latest" else layout.unit


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a statistic: a page of `total` rows that were asked for."""

    details: Details
    asked: Asked
    rows: Sequence[Row]
    total: int
    newest: int

    @property
    def layout(self) -> Layout:
        return self.asked.layout

    @property
    def columns(self) -> tuple[str, ...]:
        """Returns the names of the cells."""
        moments = ("at",) if self.layout.kind == "latest" else ("start", "end")
        return (*moments, *self.layout.columns, *MEASURES[self.layout.kind])

    def cells(self) -> Iterator[list[object]]:
        """Gives the values of each row in the order of `columns`. For keys that are summed up a cell says OTHER."""
        for row in self.rows:
            names = split_key(self.layout, row.key) or [OTHER] * len(self.layout.columns)
            yield [*self._moments(row).values(), *names, *row.values]

    def as_json(self) -> dict[str, Any]:
        selection = self.asked.selection
        return {
            "statistic": describe(self.details.known, self.newest),
            "interval": self.asked.interval,
            "since": None if selection.since == BEGINNING else rfc3339(selection.since, "auto"),
            "until": None if selection.until == END else rfc3339(selection.until, "auto"),
            "total": self.total,
            "rows": map(self._row_as_json, self.rows),
        }

    def _row_as_json(self, row: Row) -> dict[str, Any]:
        values = dict(zip(MEASURES[self.layout.kind], row.values, strict=True))
        if self.layout.kind == "latest":
            values["value"] = json.loads(str(values["value"]))
        parts = split_key(self.layout, row.key)
        key = None if parts is None else dict(zip(self.layout.columns, parts, strict=True))
        return {**self._moments(row), "key": key, **values}

    def _moments(self, row: Row) -> dict[str, str | None]:
        if self.layout.kind == "latest":
            return {"at": rfc3339(row.at, "milliseconds")}
        end = end_of(row.at, self.asked.selection.width)
        if end is None:
            return {"start": None, "end": None}
        return {"start": rfc3339(row.at, "auto"), "end": rfc3339(end, "auto")}


def split_key(layout: Layout, key: str) -> list[str] | None:
    """Returns a value for each column; None for keys that are summed up."""
    if key == OTHERS:
        return None
    return key.split(SEPARATOR) if layout.columns else []


async def read_table(reader: StatisticsReader, details: Details, asked: Asked, newest: int, now: datetime) -> Table:
    """Reads the rows that are asked for. Raises BadParameter where too many rows would have to be put together."""
    paging = asked.paging
    if not asked.whole:
        rows, total = await reader.page(asked.selection, paging.per_page, paging.skip)
        return Table(details, asked, rows, total, newest)
    found = shape(asked, await reader.whole(asked.selection, asked.top), now)
    if asked.selection.descending:
        found.reverse()
    return Table(details, asked, found[paging.skip : paging.skip + paging.per_page], len(found), newest)


def shape(asked: Asked, rows: Sequence[Row], now: datetime) -> list[Row]:
    """Fills and sums up rows, which are all there are and ascend. Raises BadParameter where there are too many."""
    check_number(len(rows))
    found = fill_windows(asked, rows, now) if asked.fill else [*rows]
    return list(cumulate(found)) if asked.cumulative else found


def check_number(rows: int) -> None:
    if rows > MOST_ROWS:
        raise BadParameter(
            f"There are more than {MOST_ROWS:,} rows: ask for a shorter span, a wider interval or fewer keys."
        )


def fill_windows(asked: Asked, rows: Sequence[Row], now: datetime) -> list[Row]:
    """Returns a row for each key in each window of the span: until now, and from the first row on where it has no start."""
    layout, selection = asked.layout, asked.selection
    keys = sorted({row.key for row in rows} or ({""} if not layout.columns else set()))
    if selection.width == WHOLE or not keys:
        return [*rows]
    windows = list_windows(asked, rows, now, MOST_ROWS // len(keys))
    there = {(row.at, row.key): row for row in rows}
    empty = _EMPTY[layout.kind]
    return [there.get((start, key), Row(start, key, empty)) for start in windows for key in keys]


def list_windows(asked: Asked, rows: Sequence[Row], now: datetime, most: int) -> list[datetime]:
    """Returns the starts of the windows of a span, given its rows in their order. Raises BadParameter for more than `most`."""
    selection, step = asked.selection, timedelta(seconds=asked.selection.width)
    if selection.since == BEGINNING and not rows:
        return []
    first = selection.since if selection.since != BEGINNING else rows[0].at
    until = min(selection.until, max(now, rows[-1].at + step) if rows else now)
    count = max(0, -((first - until) // step))
    if count > most:
        raise BadParameter(
            f"There are more than {MOST_ROWS:,} rows: ask for a shorter span, a wider interval or fewer keys."
        )
    return [first + n * step for n in range(count)]


def cumulate(rows: Iterable[Row]) -> Iterator[Row]:
    """Gives rows of counts with the sum of all rows of their key up to them."""
    sums = defaultdict[str, float](float)
    for row in rows:
        (count,) = row.values
        assert isinstance(count, int | float)
        sums[row.key] += count
        yield row._replace(values=(int(sums[row.key]),))


def state_sentences(details: Details, newest: int) -> list[str]:
    """Returns what a reader has to know of rows before they believe them."""
    statistic, known = details.known.registered, details.known
    told = []
    if statistic.state == "absent":
        told.append("Its plugin is not installed: nothing more is counted.")
    elif statistic.state == "set_aside":
        told.append(f"It is no longer counted, for its trouble: {statistic.trouble or 'unknown'}.")
    if waiting := behind(statistic, newest):
        told.append(f"It is behind by {counted(waiting, 'event')}.")
    percent = rebuilding(known, newest)
    if percent is not None:
        version = (known.next or statistic).layout.version
        told.append(f"Version {version} is being counted: {percent} %.")
    if statistic.left_out:
        told.append(
            f"{counted(statistic.left_out, 'event')} left out: the statistic failed at {'it' if statistic.left_out == 1 else 'them'}."
        )
    for gap in details.gaps:
        told.append(f"Events {gap.after + 1:,} to {gap.up_to:,} are not counted: {gap.why}.")
    return told
