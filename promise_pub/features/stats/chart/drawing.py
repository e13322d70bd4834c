"""The SVG of a chart. Pure. It is well-formed whatever keys and marks are called: all text is printable and escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from promise_pub.features.stats.chart.axes import Scale, label_places, moment_label, scale_of
from promise_pub.features.stats.chart.captions import describe, describe_windows
from promise_pub.features.stats.chart.series import Chart, Series, Value
from promise_pub.features.stats.ports import Mark
from promise_pub.presentation.svg import number, tag
from promise_pub.presentation.text_size import fitted, width_of
from promise_pub.text import printable

WIDTH, HEIGHT = 960, 220  # pixels; the height is that of the plot
LEFT, RIGHT, BOTTOM = 64, 16, 30
LEGEND_SIZE, MARK_SIZE, AXIS_SIZE = 12, 11, 11  # fonts
LEGEND_ROW, MARK_ROW = 20, 15
MAX_NAME, MAX_MARK = 240, 150
MARK_ROWS = 3  # of labels; marks that would cover those of others have none
GAP = 1  # between bars that are wide enough for it

_INSIDE = WIDTH - LEFT - RIGHT


class Frame(NamedTuple):
    """The place of the plot in the drawing."""

    top: float
    step: float
    height: float
    scale: Scale

    def x(self, place: float) -> float:
        return LEFT + place * self.step

    def y(self, value: float) -> float:
        return self.top + self.height * (1 - self.scale.share(value))


def draw(chart: Chart, height: float = HEIGHT, *style: Markup, **attributes: str) -> Markup:
    """Returns an <svg>: legend, marks, axes and values, and above all of it a place for the pointer for each window."""
    legend, rows = _legend(chart.series)
    labels = [mark for mark in chart.marks if chart.starts]
    top = 12.0 + rows * LEGEND_ROW + (MARK_ROWS * MARK_ROW if labels else 0)
    frame = Frame(top, _INSIDE / max(1, len(chart.starts)), height, scale_of(chart))
    whole = number(top + height + BOTTOM)
    size = {"width": str(WIDTH), "height": whole}
    draw_series = _bars if chart.kind == "bars" else _lines
    content = [
        tag("title", [chart.title]),
        tag("desc", [describe(chart)]),
        *style,
        tag("rect", class_="ground", **size),
        legend,
        _grid(frame, chart.unit),
        _moments(chart, frame),
        *draw_series(chart.series, frame),
        _marks(chart, labels, frame, top - MARK_ROWS * MARK_ROW),
        _windows(chart, frame),
    ]
    return tag("svg", content, viewBox=f"0 0 {WIDTH} {whole}", **size, class_="statistic", role="img", **attributes)


def _legend(series: Sequence[Series]) -> tuple[Markup, int]:
    """Returns the names of the series, each with its colour, and how many rows they take."""
    content, x, row = [], 0.0, 0
    for one in series:
        name = fitted(printable(one.name), LEGEND_SIZE, MAX_NAME)
        room = 18 + width_of(name, LEGEND_SIZE) + 16
        if x and x + room > WIDTH - 2 * RIGHT:
            x, row = 0.0, row + 1
        y = 8 + row * LEGEND_ROW
        content.append(
            tag("rect", class_=f"key of-{one.number}", x=number(RIGHT + x), y=str(y), width="12", height="12")
        )
        content.append(tag("text", [name], class_="name", x=number(RIGHT + x + 18), y=str(y + 10)))
        x += room
    return tag("g", content, class_="legend"), row + 1 if series else 0


def _grid(frame: Frame, unit: str) -> Markup:
    content = []
    for value, label in frame.scale.ticks():
        y = number(frame.y(value))
        content.append(tag("path", class_="zero" if value == 0 else "grid", d=f"M{LEFT} {y}H{WIDTH - RIGHT}"))
        content.append(
            tag("text", [label], class_="tick", text_anchor="end", x=str(LEFT - 6), y=number(frame.y(value) + 4))
        )
    if unit:
        content.append(
            tag("text", [printable(unit)], class_="tick", text_anchor="end", x=str(LEFT - 6), y=number(frame.top + 18))
        )
    return tag("g", content)


def _moments(chart: Chart, frame: Frame) -> Markup:
    y = number(frame.top + frame.height + 18)
    return tag(
        "g",
        [
            tag(
                "text",
                [moment_label(chart.starts[place], chart.width, chart.starts)],
                class_="tick",
                x=number(frame.x(place)),
                y=y,
            )
            for place in label_places(len(chart.starts))
        ],
    )


def _bars(series: Sequence[Series], frame: Frame) -> list[Markup]:
    """Returns a path for each series, of which the first is the lowest. What is negative hangs below zero."""
    gap = GAP if frame.step > 4 else 0.0
    width, unit = number(frame.step - gap), frame.height / (frame.scale.high - frame.scale.low)
    zero = frame.y(0)
    places = [number(frame.x(place) + gap / 2) for place in range(len(series[0].values))] if series else []
    above = [zero] * len(places)
    below = [*above]
    drawn = []
    for one in series:
        path = []
        for place, value in enumerate(one.values):
            if not value:
                continue
            base = above if value > 0 else below
            start = base[place]
            base[place] = end = start - value * unit
            path.append(f"M{places[place]} {start:.1f}h{width}V{end:.1f}h-{width}Z")
        drawn.append(tag("path", class_=f"bar of-{one.number}", d="".join(path)))
    return drawn


def _lines(series: Sequence[Series], frame: Frame) -> list[Markup]:
    return [tag("path", class_=f"curve of-{one.number}", d=_line(one.values, frame)) for one in series]


def _line(values: Sequence[Value], frame: Frame) -> str:
    """Returns a path through the middles of windows, broken where there is no value. One value alone is as wide as its window."""
    path = []
    around = [None, *values, None]
    for place, value in enumerate(values):
        if value is None:
            continue
        before, after = around[place], around[place + 2]
        y = number(frame.y(value))
        if before is None and after is None:
            path.append(f"M{number(frame.x(place))} {y}H{number(frame.x(place + 1))}")
        else:
            path.append(f"{'M' if before is None else 'L'}{number(frame.x(place + 0.5))} {y}")
    return "".join(path)


def _marks(chart: Chart, marks: Sequence[Mark], frame: Frame, top: float) -> Markup:
    """Returns a line for each mark, with its text above in one of MARK_ROWS rows."""
    ends = [0.0] * MARK_ROWS
    content = []
    for mark in marks:
        place = (mark.at - chart.starts[0]).total_seconds() / chart.width
        if not 0 <= place <= len(chart.starts):
            continue
        x, text = frame.x(place), fitted(printable(mark.text), MARK_SIZE, MAX_MARK)
        width = width_of(text, MARK_SIZE)
        start = x + 3 if x + 3 + width <= WIDTH else x - 3 - width
        row = next((row for row, end in enumerate(ends) if end <= start), None)
        title = tag("title", [f"{mark.at:%Y-%m-%d %H:%M:%S} UTC: {printable(mark.text)}"])
        above = top if row is None else top + row * MARK_ROW
        parts = [title, tag("path", d=f"M{number(x)} {number(above)}V{number(frame.top + frame.height)}")]
        if row is not None:
            ends[row] = start + width + 6
            parts.append(tag("text", [text], x=number(start), y=number(above + 11)))
        content.append(tag("g", parts, class_="mark"))
    return tag("g", content)


def _windows(chart: Chart, frame: Frame) -> Markup:
    """Returns a place for each window that shows its numbers when it is pointed at."""
    width, top = number(frame.step), number(frame.top)
    content = "".join(
        f'<rect x="{number(frame.x(place))}" y="{top}" width="{width}" height="{frame.height:g}">'
        f"<title>{escape(told)}</title></rect>"
        for place, told in enumerate(describe_windows(chart))
    )
    return tag("g", [Markup(content)], class_="windows")
