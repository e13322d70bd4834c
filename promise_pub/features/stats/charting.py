"""The chart of a statistic: which rows it takes, and what is drawn of them. The reading is that of a StatisticsReader."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from markupsafe import Markup

from promise_pub.errors import BadParameter
from promise_pub.features.stats.asked import Asked
from promise_pub.features.stats.chart.series import MOST_KEYS, Chart, series_of_keys, series_of_measures
from promise_pub.features.stats.intervals import start_of
from promise_pub.features.stats.ports import Journal
from promise_pub.features.stats.questions import BEGINNING, MEASURES, MOST_ROWS, StatisticsReader
from promise_pub.features.stats.records import WHOLE, Layout
from promise_pub.features.stats.report import check_number, list_windows, shape
from promise_pub.presentation.svg import rules_of_file

RULES = Path(__file__).parent / "static" / "chart.css"
MOST_DRAWN = 1_000  # windows of a chart: more are narrower than a pixel
MOST_MARKS = 20


@cache
def chart_style() -> Markup:
    """Returns the rules of a chart's file."""
    return rules_of_file(RULES.read_text(encoding="utf-8"))


def has_chart(asked: Asked) -> bool:
    """Tells whether the rows that are asked for are windows of time."""
    return asked.layout.kind != "latest" and asked.selection.width != WHOLE


def require_chart(asked: Asked) -> None:
    """Raises BadParameter where there is nothing to draw."""
    if not has_chart(asked):
        raise BadParameter("format cannot be svg: only windows of time are drawn, not all time or entries.")


async def read_chart(reader: StatisticsReader, journal: Journal, asked: Asked, now: datetime) -> Chart:
    """Reads the newest MOST_DRAWN windows that are asked for, with their marks. Raises BadParameter for too many rows.

    Sums begin with the first window that is asked for, also where that is not drawn.
    """
    kind, width = asked.layout.kind, asked.selection.width
    drawn = replace(asked.selection, since=max(asked.selection.since, _earliest(asked, now)))
    top = MOST_KEYS if asked.top is None else min(asked.top, MOST_KEYS)
    rows = await reader.whole(
        asked.selection if asked.cumulative else drawn,
        {"counting": top, "measuring": 0}.get(kind),
    )
    if asked.cumulative:
        rows = shape(replace(asked, fill=True), rows, now)
    check_number(len(rows))
    if asked.selection.since != BEGINNING:
        asked = replace(asked, selection=drawn)
    starts = list_windows(asked, rows, now, MOST_ROWS)[-MOST_DRAWN:]
    marks = await journal.marks(starts[0], starts[-1] + timedelta(seconds=width), MOST_MARKS) if starts else ()
    measures = kind == "measuring"
    return Chart(
        title=title_of(asked),
        unit=asked.layout.unit,
        kind="lines" if measures or _is_of_lines(asked.layout) else "bars",
        width=width,
        starts=starts,
        series=series_of_measures(rows, starts) if measures else series_of_keys(rows, starts, MEASURES[kind][0]),
        marks=marks,
        cut=len(starts) == MOST_DRAWN,
    )


def _is_of_lines(layout: Layout) -> bool:
    """Tells whether a statistic wants lines: its keys are no parts of a whole, so that bars on each other would add up to
    what is not there."""
    return isinstance(layout.given, dict) and layout.given.get("chart") == "lines"


def _earliest(asked: Asked, now: datetime) -> datetime:
    """Returns the start of the first window that can be drawn."""
    width = asked.selection.width
    try:
        return start_of(min(asked.selection.until, now), width) - (MOST_DRAWN - 1) * timedelta(seconds=width)
    except OverflowError:
        return BEGINNING


def title_of(asked: Asked) -> str:
    """Returns the name of a statistic with what was asked of it."""
    values = zip(asked.layout.columns, asked.selection.keys, strict=True)
    only = [f"{column} {value}" for column, value in values if value is not None]
    parts = [asked.layout.name, *only, *(["cumulative"] if asked.cumulative else []), f"by {asked.interval}"]
    return ", ".join(parts)
