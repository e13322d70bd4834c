"""Usage as a picture: a bar for each period, hatched where the period is cut or still goes on. Pure.

All looks are attributes, light ones: a file needs no rules, which the policy of its answer would forbid. ../static/usage.css
gives a page its own, dark ones too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from promise_pub.features.usage.records import Period, Usage
from promise_pub.features.usage.report import UNITS, title_of
from promise_pub.presentation.charts import nice
from promise_pub.presentation.plots import (
    BOTTOM,
    FONT,
    HEIGHT,
    INSIDE,
    RIGHT,
    WIDTH,
    Frame,
    Scale,
    draw_grid,
    draw_labels,
    label_places,
)
from promise_pub.presentation.svg import COLOURS, XMLNS, number, tag
from promise_pub.presentation.text_size import width_of
from promise_pub.text import counted

MOST_DRAWN = 1_000  # periods: more are narrower than a pixel
TOP = 32  # pixels above the plot, for the words about hatched bars
GAP, MOST_GAP = 0.2, 8.0  # of a period's width; pixels
HATCHED = "hatched: cut, or not over yet"

_GROUND, _INK, _BAR = COLOURS["panel"][0], COLOURS["ink"][0], COLOURS["line-1"][0]


def draw_chart(usage: Usage, **attributes: str) -> Markup:
    """Returns an <svg> of the newest MOST_DRAWN periods; the same bytes for the same usage."""
    periods = usage.periods[-MOST_DRAWN:]
    scale = Scale(0, nice(max((one.users for one in periods), default=0)), whole=True)
    frame = Frame(TOP, INSIDE / max(1, len(periods)), HEIGHT, scale)
    size = {"width": str(WIDTH), "height": str(TOP + HEIGHT + BOTTOM)}
    content = [
        tag("title", [title_of(usage.question)]),
        tag("desc", [describe(usage)]),
        tag("rect", class_="ground", fill=_GROUND, **size),
        draw_grid(frame, UNITS[usage.question.action]),
        draw_labels(frame, {place: periods[place].name for place in label_places(len(periods))}),
        _draw_bars(((place, one) for place, one in enumerate(periods) if one.complete), frame),
        *(_draw_hatched(periods, frame) if not all(one.complete for one in periods) else ()),
        _draw_windows(periods, frame),
    ]
    box = f"0 0 {WIDTH} {size['height']}"
    return tag("svg", content, viewBox=box, **size, class_="usage", role="img", **attributes)


def draw_chart_file(usage: Usage) -> Markup:
    return draw_chart(usage, xmlns=XMLNS)


def describe(usage: Usage) -> str:
    """Returns the chart in words, for people who cannot see it."""
    periods = usage.periods[-MOST_DRAWN:]
    if not any(one.users for one in periods):
        return "Nobody in this time."
    most = max(periods, key=lambda one: one.users)
    drawn = f"{counted(len(periods), 'period')}, {periods[0].name} to {periods[-1].name}"
    return f"Bars of {drawn}. At most {most.users:,} {UNITS[usage.question.action]}, in {most.name}."


def describe_period(one: Period) -> str:
    """Returns the numbers of a period."""
    told = f"{one.name}: {counted(one.users, 'user')}, {counted(one.actions, 'action')}"
    return told if one.complete else f"{told}; cut, or not over yet"


def _draw_bars(placed: Iterable[tuple[int, Period]], frame: Frame, **look: str) -> Markup:
    gap = min(GAP * frame.step, MOST_GAP)
    width, zero = number(frame.step - gap), number(frame.y(0))
    bars = (
        f"M{number(frame.x(place) + gap / 2)} {zero}h{width}V{number(frame.y(one.users))}h-{width}Z"
        for place, one in placed
        if one.users
    )
    return tag("path", **{"class_": "bar", "fill": _BAR, **look}, d="".join(bars))


def _draw_hatched(periods: Sequence[Period], frame: Frame) -> list[Markup]:
    """Returns the bars of periods that are not whole, and words about them."""
    square = {"width": "6", "height": "6"}
    lines = [
        tag("rect", class_="ground", fill=_GROUND, **square),
        tag("rect", class_="stripe", fill=_BAR, width="2.5", height="6"),
    ]
    look = {"patternUnits": "userSpaceOnUse", "patternTransform": "rotate(45)"}
    hatched = {"class_": "cut", "fill": "url(#hatched)", "stroke": _BAR}
    x = WIDTH - RIGHT - width_of(HATCHED, 12)
    return [
        tag("defs", [tag("pattern", lines, id="hatched", **look, **square)]),
        _draw_bars(((place, one) for place, one in enumerate(periods) if not one.complete), frame, **hatched),
        tag("rect", **hatched, x=number(x - 18), y="8", width="12", height="12"),
        tag("text", [HATCHED], class_="name", fill=_INK, font_family=FONT, font_size="12", x=number(x), y="18"),
    ]


def _draw_windows(periods: Sequence[Period], frame: Frame) -> Markup:
    """Returns a place for each period that shows its numbers when it is pointed at."""
    size = {"y": str(TOP), "width": number(frame.step), "height": str(HEIGHT), "fill": "transparent"}
    places = (
        tag("rect", [tag("title", [describe_period(one)])], x=number(frame.x(place)), **size)
        for place, one in enumerate(periods)
    )
    return tag("g", places, class_="windows")
