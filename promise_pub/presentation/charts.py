"""Samples of runs → charts: paths for an SVG, labels for its axes, a table for screen readers. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise, starmap

from promise_pub.presentation.wording import duration
from promise_pub.records import RunReport, State
from promise_pub.samples import Sample

WIDTH, HEIGHT = 1000, 240  # units of a chart's own; the page stretches it
SPARK_WIDTH, SPARK_HEIGHT = 100, 20
TABLE_ROWS = 12  # of a chart's table: more is not read
CLOSEST = 1e-3  # seconds between samples, which are rounded to it: a rate over less is no rate
PAUSE = 2.0  # seconds without news that a line may bridge
RATE, LATENCY = "Rate", "Confirm latency"

Point = tuple[float, float]
"""Point of a line: seconds and a value."""
Stroke = list[Point]
"""Unbroken piece of a line. Between two of them nothing is known."""


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
        chart(RATE, "rows a second", rates),
        chart(LATENCY, "ms", waits),
    )
    return tuple(one for one in drawn if one)


def awaited_charts(report: RunReport) -> list[tuple[str, str]]:
    """Returns the titles of the charts that a run in progress does not have yet, and why."""
    drawn = {one.title for one in charts(report)}
    if report.state is State.DRAINING:
        words = {RATE: "The curve starts with the next look.", LATENCY: "No curve: all rows were confirmed at once."}
    elif report.state is State.PUBLISHING:
        words = dict.fromkeys((RATE, LATENCY), "The curve starts when the broker confirms rows.")
    else:
        words = dict.fromkeys((RATE, LATENCY), "The curve starts when rows are published.")
    return [(title, why) for title, why in words.items() if title not in drawn]


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


def rate(samples: Sequence[Sample], of: Callable[[Sample], int | None]) -> list[Stroke]:
    """Returns rows a second, as steps: a count that changes only now and then is spread over the time between, up to
    PAUSE."""
    strokes = []
    for stretch in _without_gaps(samples):
        stroke: Stroke = []
        for (start, before), (end, after) in pairwise(_changes(stretch, of)):
            if end - start >= CLOSEST:
                value = max(0.0, (after - before) / (end - start))  # of a session that ended fewer rows may count
                stroke += [(start, value), (end, value)]
        if stroke:
            strokes.append(stroke)
    return strokes


def _without_gaps(samples: Iterable[Sample]) -> list[list[Sample]]:
    stretches: list[list[Sample]] = []
    for one in samples:
        if one.after_gap or not stretches:
            stretches.append([])
        stretches[-1].append(one)
    return stretches


def _changes(samples: Iterable[Sample], of: Callable[[Sample], int | None]) -> list[tuple[float, int]]:
    """Returns the moments at which a count begins, changes and ends, and the ends of its pauses."""
    known = [(sample.at, count) for sample in samples if (count := of(sample)) is not None]
    changes = known[:1]
    for before, after in pairwise(known):
        if after[1] != before[1]:
            if before[0] - changes[-1][0] > PAUSE:
                changes.append(before)
            changes.append(after)
    return changes if known[-1:] == changes[-1:] else [*changes, known[-1]]


def _points(samples: Sequence[Sample], of: Callable[[Sample], float | None]) -> list[Stroke]:
    """Returns a value of each sample that has one. A stroke begins with the sample before, whose news it has."""
    strokes: list[Stroke] = []
    for stretch in _without_gaps(samples):
        stroke: Stroke = []
        before = stretch[0].at
        for sample in stretch:
            if (value := of(sample)) is not None:
                if not stroke or (before > stroke[-1][0] and sample.at - stroke[-1][0] > PAUSE):
                    stroke = [(before, value)] if before < sample.at else []
                    strokes.append(stroke)
                stroke.append((sample.at, value))
            before = sample.at
    return [stroke for stroke in strokes if len(stroke) > 1]


def chart(title: str, unit: str, lines: dict[str, list[Stroke]]) -> Chart | None:
    """Returns the chart of these lines; None where there is nothing to draw, or only zeros."""
    numbers = {name: number for number, name in enumerate(lines, 1)}
    lines = {name: strokes for name, strokes in lines.items() if strokes}
    highest = max((value for strokes in lines.values() for _, value in chain(*strokes)), default=0.0)
    end = max((strokes[-1][-1][0] for strokes in lines.values()), default=0.0)
    if not highest or not end:
        return None
    top = nice(highest)
    return Chart(
        title=title,
        unit=unit,
        series=tuple(
            Series(numbers[name], name, _path(strokes, end, top, WIDTH, HEIGHT)) for name, strokes in lines.items()
        ),
        y_labels=tuple(short(top * share) for share in (1, 0.5, 0)),
        x_labels=tuple(_moment(end * share) for share in (0, 0.5, 1)),
        head=("After", *lines),
        rows=tuple(_table(lines, end)),
    )


def sparkline(report: RunReport) -> str:
    """Returns the path of a run's rate of confirms; empty where there is none."""
    return _sparkline(report.samples)


@lru_cache(100)  # most pages show the same runs
def _sparkline(samples: Sequence[Sample]) -> str:
    strokes = rate(samples, lambda sample: sample.confirmed)
    top = max((value for _, value in chain(*strokes)), default=0.0)
    return _path(strokes, strokes[-1][-1][0], top, SPARK_WIDTH, SPARK_HEIGHT) if top else ""


def _path(strokes: Iterable[Stroke], end: float, top: float, width: int, height: int) -> str:
    def place(at: float, value: float) -> str:
        return f"{at / end * width:.1f} {height - value / top * height:.1f}"

    return "".join("M" + "L".join(starmap(place, stroke)) for stroke in strokes)


def _table(lines: dict[str, list[Stroke]], end: float) -> Iterable[tuple[str, ...]]:
    for step in range(1, TABLE_ROWS + 1):
        at = end * step / TABLE_ROWS
        values = (_value_at(strokes, at) for strokes in lines.values())
        yield (duration(at), *("–" if value is None else short(value) for value in values))


def _value_at(strokes: Iterable[Stroke], at: float) -> float | None:
    """Returns the last value up to a moment; None where nothing is known of it."""
    for stroke in strokes:
        if stroke[0][0] <= at * 1.000001 and at <= stroke[-1][0] * 1.000001:
            return [value for moment, value in stroke if moment <= at * 1.000001][-1]
    return None


def nice(value: float) -> float:
    """Returns the next round number whose half is round as well."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value * 0.999999)


def _moment(seconds: float) -> str:
    """Writes a duration on an axis, without useless digits."""
    return f"{seconds:.3g} s" if seconds < 10 else duration(seconds)


@lru_cache(4096)
def short(value: float) -> str:
    """Writes a value on an axis, without useless digits."""
    if value >= 100:
        return f"{value:,.0f}"
    if 0 < abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:,.1f}" if value % 1 else f"{value:,.0f}"
