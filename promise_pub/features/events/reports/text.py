"""The faces of a report: lines for a terminal, rows of CSV, and values for JSON, all from one shape. Pure.

A report is given its events once, and so it is shown with one face.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from promise_pub.features.events.reports.records import DatedEvent
from promise_pub.features.events.reports.sessions import Session, end_sessions, find_gaps
from promise_pub.text import printable

EVENT_COLUMNS = ("date", "source", "url", "title")
BREAK = ("--------",) * len(EVENT_COLUMNS)
"""The row between the events of two sessions."""
MAX_WIDTH = 60
"""Characters up to which cells are aligned: one long word must not make all lines as long."""

Cell = str | int | float | datetime | Sequence[str] | None
Plain = str | int | float | list[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A report of rows, whose moments are shown in `zone`. One that is `long` is shown row by row, and never kept as a
    whole but for JSON."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Cell]]
    zone: ZoneInfo
    long: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A report of events with their sessions: as text and CSV all events, with a row between sessions; as JSON the sessions
    and the gaps between them."""

    name: str
    followed: Iterable[tuple[DatedEvent, Session]]
    zone: ZoneInfo


Report = Table | Timeline


def event_cells(event: DatedEvent) -> Sequence[Cell]:
    """Returns the cells of EVENT_COLUMNS."""
    return (event.at, event.type, event.url, event.text)


def csv_rows(report: Report) -> Iterator[Sequence[str | int | float]]:
    """Yields the head and the rows. Words of strangers are as they came: neither made visible nor safe for spreadsheets."""
    table = _table(report)
    yield table.columns
    for row in _plain_rows(table):
        yield ["\n".join(cell) if isinstance(cell, list) else "" if cell is None else cell for cell in row]


def text_lines(report: Report) -> Iterator[str]:
    """Yields the head and the rows as lines that cannot drive a terminal: of aligned columns; of a long report, of columns
    with tabs between them."""
    table = _table(report)
    rows = _plain_rows(table)
    if table.long:
        return ("\t".join(map(_word, row)) for row in chain([table.columns], rows))
    return _aligned(table.columns, [*rows])


def json_value(report: Report) -> Mapping[str, Any]:
    """Returns the report as JSON can show it, with all of its rows."""
    if isinstance(report, Table):
        rows = [dict(zip(report.columns, row, strict=True)) for row in _plain_rows(report)]
        return {"report": report.name, "rows": rows}
    sessions = [*end_sessions(report.followed)]
    spans = [_span(one.begin, one.end, report.zone) for one in sessions]
    gaps = [_span(one.start, one.end, report.zone) for one in find_gaps(sessions)]
    return {"report": report.name, "sessions": spans, "gaps": gaps}


def seconds_of(length: timedelta) -> int | float:
    """Returns seconds, without a fraction where there is none."""
    seconds = length.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _table(report: Report) -> Table:
    if isinstance(report, Table):
        return report
    rows = _broken(report.followed)
    return Table(name=report.name, columns=EVENT_COLUMNS, rows=rows, zone=report.zone, long=True)


def _broken(followed: Iterable[tuple[DatedEvent, Session]]) -> Iterator[Sequence[Cell]]:
    begun = False
    for event, session in followed:
        if begun and session.events == 1:
            yield BREAK
        begun = True
        yield event_cells(event)


def _plain_rows(table: Table) -> Iterator[Sequence[Plain]]:
    return ([_plain(cell, table.zone) for cell in row] for row in table.rows)


def _plain(cell: Cell, zone: ZoneInfo) -> Plain:
    """Returns a cell as all faces show it, but for its letters."""
    if isinstance(cell, datetime):
        return _moment(cell, zone)
    return cell if cell is None or isinstance(cell, str | int | float) else [*cell]


def _moment(at: datetime, zone: ZoneInfo) -> str:
    try:
        return at.astimezone(zone).isoformat()
    except OverflowError:
        # The clocks of the zone show a year that no calendar has.
        return at.isoformat()


def _span(start: datetime, end: datetime, zone: ZoneInfo) -> Mapping[str, Any]:
    return {"from": _moment(start, zone), "to": _moment(end, zone), "seconds": seconds_of(end - start)}


def _word(cell: Plain) -> str:
    if cell is None:
        return ""
    if isinstance(cell, list):
        return " ".join(map(printable, cell))
    return printable(cell) if isinstance(cell, str) else f"{cell:,}"


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[Plain]]) -> Iterator[str]:
    """Yields lines of columns, numbers on their right."""
    table = [[*columns], *([*map(_word, row)] for row in rows)]
    widths = [min(MAX_WIDTH, max(map(len, column))) for column in zip(*table, strict=True)]
    signs = [">" if rows and isinstance(cell, int | float) else "<" for cell in (rows[0] if rows else columns)]
    for line in table:
        yield "  ".join(f"{cell:{sign}{width}}" for cell, sign, width in zip(line, signs, widths, strict=True)).rstrip()
