"""Rows of a statistic as its page shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from promise_pub.features.stats.chart.axes import DAY
from promise_pub.features.stats.intervals import end_of
from promise_pub.features.stats.questions import MEASURES, OTHER
from promise_pub.features.stats.report import Table, split_key


class Cell(NamedTuple):
    """A cell of a table; `look` is its class."""

    text: str
    look: str


def head_of(table: Table) -> list[Cell]:
    """Returns the names of the columns; moments are in UTC."""
    layout = table.layout
    moments = (
        [Cell("At, UTC", "when")] if layout.kind == "latest" else [Cell("Start, UTC", "when"), Cell("End, UTC", "when")]
    )
    look = "text" if layout.kind == "latest" else "number"
    measures = [Cell(name, look) for name in MEASURES[layout.kind]]
    return [*moments, *(Cell(column, "text") for column in layout.columns), *measures]


def show_rows(table: Table) -> Iterator[list[Cell]]:
    """Gives the cells of each row."""
    layout, width = table.layout, table.asked.selection.width
    timed = layout.kind != "latest"
    pattern = "%Y-%m-%d" if timed and width and width % DAY == 0 else "%Y-%m-%d %H:%M:%S"
    look = "number" if timed else "text"
    for row in table.rows:
        end = end_of(row.at, width)
        moments = (row.at if end else None, end) if timed else (row.at,)
        names = split_key(layout, row.key) or [OTHER] * len(layout.columns)
        yield [
            *(Cell(f"{moment:{pattern}}" if moment else "–", "when") for moment in moments),
            *(Cell(name or "–", "text") for name in names),
            *(Cell(show_value(value), look) for value in row.values),
        ]


def show_value(value: float | str | None) -> str:
    """Returns a number with as many digits as are worth reading; other values as they are."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:.3g}"
