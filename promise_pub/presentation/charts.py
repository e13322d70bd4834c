"""Samples of runs → charts: paths for an SVG, labels for its axes, a table for screen readers. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from promise_pub.presentation.wording import duration
from promise_pub.records import RunReport, Sample

WIDTH, HEIGHT = 1000, 240  # units of a chart's own; the page stretches it
SPARK_WIDTH, SPARK_HEIGHT = 100, 20
TABLE_ROWS = 12  # of a chart's table: more is not read
CLOSEST = 1e-3  # seconds between samples, which are rounded to it: a rate over less is no rate

Point = tuple[float, float]
"""Point of a line: seconds and a value."""


@dataclass(frozen=True, slots=True)
class Series:
    """Line of a chart: its number among all lines (from 1: its style), its name, its path in the chart's units."""

    number: int
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Chart of a page. `y_labels` from the top down, `x_labels` from the left; `rows` of the table below `head`."""

    title: str
    unit: str
    series: tuple[Series, ...]
    y_labels: tuple[str, ...]
    x_labels: tuple[str, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def charts(report: RunReport) -> tuple[Chart, ...]:
    """Returns the charts of one run; none before there are two samples."""
    samples = report.samples
    rates = {
        "confirmed": rate(samples, lambda sample: sample.confirmed),
        "received": rate(samples, lambda sample: sample.received),
        "saved": rate(samples, lambda sample: sample.saved),
    }
    waits = {
        "p50": _points(samples, lambda sample: sample.p50),
        "p99": _points(samples, lambda sample: sample.p99),
    }
    drawn = (
        chart("Rate", "rows a second", rates),
        chart("Confirm latency", "ms", waits),
    )
    return tuple(one for one in drawn if one)


def compared(named: Sequence[tuple[str, RunReport]]) -> tuple[Chart, ...]:
    """Returns the charts of several runs, on the same axes."""
    confirmed = {name: rate(run.samples, lambda sample: sample.confirmed) for name, run in named}
    saved = {name: rate(run.samples, lambda sample: sample.saved) for name, run in named}
    waits = {name: _points(run.samples, lambda sample: sample.p99) for name, run in named}
    drawn = (
        chart("Rate of confirms", "rows a second", confirmed),
        chart("Rate of saving", "rows a second", saved),
        chart("Confirm latency", "ms, p99", waits),
    )
    return tuple(one for one in drawn if one)


def rate(samples: Sequence[Sample], of: Callable[[Sample], int | None]) -> list[Point]:
    """Returns rows a second, as steps: a count that changes only now and then is spread over the time between."""
    known = [(sample.at, count) for sample in samples if (count := of(sample)) is not None]
    changes = [known[index] for index in range(len(known)) if _changes(known, index)]
    points: list[Point] = []
    for (start, before), (end, after) in pairwise(changes):
        if end - start >= CLOSEST:
            value = max(0.0, (after - before) / (end - start))  # a new session counts from 0
            points += [(start, value), (end, value)]
    return points


def _changes(known: Sequence[tuple[float, int]], index: int) -> bool:
    """Tells whether a count is the first, the last, or differs from the one before."""
    return index in (0, len(known) - 1) or known[index][1] != known[index - 1][1]


def _points(samples: Iterable[Sample], of: Callable[[Sample], float | None]) -> list[Point]:
    return [(sample.at, value) for sample in samples if (value := of(sample)) is not None]


def chart(title: str, unit: str, lines: dict[str, list[Point]]) -> Chart | None:
    """Returns the chart of these lines; None where there is nothing to draw."""
    numbers = {name: number for number, name in enumerate(lines, 1)}
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    end = max(points[-1][0] for points in lines.values())
    top = nice(max(value for points in lines.values() for _, value in points))
    return Chart(
        title=title,
        unit=unit,
        series=tuple(
            Series(numbers[name], name, _path(points, end, top, WIDTH, HEIGHT)) for name, points in lines.items()
        ),
        y_labels=tuple(_short(top * share) for share in (1, 0.5, 0)),
        x_labels=tuple(_moment(end * share) for share in (0, 0.5, 1)),
        head=("After", *lines),
        rows=tuple(_table(lines, end)),
    )


def sparkline(report: RunReport) -> str:
    """Returns the path of a run's rate of confirms; empty where there is none."""
    points = rate(report.samples, lambda sample: sample.confirmed)
    if len(points) < 2:
        return ""
    top = max(value for _, value in points) or 1.0
    return _path(points, points[-1][0], top, SPARK_WIDTH, SPARK_HEIGHT)


def _path(points: Sequence[Point], end: float, top: float, width: int, height: int) -> str:
    placed = (f"{at / (end or 1) * width:.1f} {height - value / (top or 1) * height:.1f}" for at, value in points)
    return "M" + "L".join(placed)


def _table(lines: dict[str, list[Point]], end: float) -> Iterable[tuple[str, ...]]:
    for step in range(1, TABLE_ROWS + 1):
        at = end * step / TABLE_ROWS
        values = (_value_at(points, at) for points in lines.values())
        yield (duration(at), *("–" if value is None else _short(value) for value in values))


def _value_at(points: Sequence[Point], at: float) -> float | None:
    """Returns the last value up to a moment."""
    known = [value for moment, value in points if moment <= at * 1.000001]
    return known[-1] if known else None


def nice(value: float) -> float:
    """Returns the next round number whose half is round as well."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value * 0.999999)


def _moment(seconds: float) -> str:
    """Writes a duration on an axis, without useless digits."""
    return f"{seconds:.3g} s" if seconds < 10 else duration(seconds)


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value % 1 else f"{value:,.0f}"
