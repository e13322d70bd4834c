"""Texts of charts: what is pointed at, a description, and a table for people who cannot see them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from promise_pub.features.stats.chart.series import Chart, Value
from promise_pub.features.stats.intervals import width_text
from promise_pub.presentation.charts import short
from promise_pub.text import counted, printable

NOTHING = "Nothing was counted in this time."


def describe(chart: Chart) -> str:
    """Returns what the chart shows, its greatest value, and the marks."""
    if chart.empty:
        return NOTHING
    shape = "Bars" if chart.kind == "bars" else "Lines"
    span = f"{chart.starts[0]:%Y-%m-%d %H:%M} to {chart.starts[-1]:%Y-%m-%d %H:%M} UTC"
    sentences = [f"{shape} of {counted(len(chart.starts), 'window')} of {width_text(chart.width)}, {span}."]
    for one in chart.series:
        known = [value for value in one.values if value is not None]
        if known:
            sentences.append(f"{printable(one.name)}: {_sum_or_most(chart, known)}{_unit(chart)}.")
    for mark in chart.marks:
        sentences.append(f"Mark at {mark.at:%Y-%m-%d %H:%M}: {printable(mark.text)}.")
    return " ".join(sentences)


def describe_windows(chart: Chart) -> Iterator[str]:
    """Gives the start of each window with its values."""
    names = [printable(one.name) for one in chart.series]
    for start, *values in zip(chart.starts, *(one.values for one in chart.series), strict=True):
        told = ", ".join([f"{name} {short(value)}" for name, value in zip(names, values, strict=True) if value])
        yield f"{start.isoformat(' ', 'seconds')[:19]} UTC: {told or 'nothing'}"


def rows_of_table(chart: Chart) -> Iterator[list[str]]:
    """Gives the start of each window with its values."""
    for place, start in enumerate(chart.starts):
        yield [f"{start:%Y-%m-%d %H:%M:%S}", *(_cell(one.values[place]) for one in chart.series)]


def _cell(value: Value) -> str:
    return "–" if value is None else short(value)


def _sum_or_most(chart: Chart, values: list[float]) -> str:
    return short(sum(values)) if chart.kind == "bars" else f"at most {short(max(values))}"


def _unit(chart: Chart) -> str:
    return f" {printable(chart.unit)}" if chart.unit else ""
