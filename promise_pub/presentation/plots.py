"""Plots of values by windows or periods: scale, grid and labels. Pure.

What is drawn here has its colours as attributes, light ones on a light ground, for files without rules; the rules of a page
go before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from promise_pub.presentation.charts import short
from promise_pub.presentation.svg import COLOURS, number, tag
from promise_pub.text import printable

WIDTH, HEIGHT = 960, 220  # pixels; the height is that of the plot
LEFT, RIGHT, BOTTOM = 64, 16, 30
INSIDE = WIDTH - LEFT - RIGHT
MOST_LABELS = 6
FONT = "system-ui, sans-serif"


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high`, as parts of a height; with `whole` they are counts, of which there are no halves."""

    low: float
    high: float
    whole: bool = False

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Returns the values that are labelled, with their labels."""
        values = sorted({self.low, 0.0, self.high / 2, self.high})
        return [(value, short(value)) for value in values if not self.whole or value % 1 == 0]


class Frame(NamedTuple):
    """The place of the plot in the drawing; `step` is the width of a window."""

    top: float
    step: float
    height: float
    scale: Scale

    def x(self, place: float) -> float:
        return LEFT + place * self.step

    def y(self, value: float) -> float:
        return self.top + self.height * (1 - self.scale.share(value))


def draw_grid(frame: Frame, unit: str) -> Markup:
    """Returns a line for each labelled value, and the unit of them all."""
    content = []
    for value, label in frame.scale.ticks():
        y, look = frame.y(value), "zero" if value == 0 else "grid"
        stroke = COLOURS["line" if value else "edge"][0]
        content.append(tag("path", class_=look, stroke=stroke, d=f"M{LEFT} {number(y)}H{WIDTH - RIGHT}"))
        content.append(_tick(label, LEFT - 6, y + 4, text_anchor="end"))
    if unit:
        content.append(_tick(printable(unit), LEFT - 6, frame.top + 18, text_anchor="end"))
    return tag("g", content)


def draw_labels(frame: Frame, labels: Mapping[int, str]) -> Markup:
    """Returns labels of windows, by their places, below the plot."""
    y = frame.top + frame.height + 18
    return tag("g", [_tick(label, frame.x(place), y) for place, label in labels.items()])


def label_places(count: int) -> list[int]:
    """Returns the windows that are labelled: MOST_LABELS at most, at equal distances."""
    step = max(1, -(-count // MOST_LABELS))
    return [*range(0, count, step)]


def _tick(text: str, x: float, y: float, **more: str) -> Markup:
    look = {"class_": "tick", "fill": COLOURS["soft"][0], "font_family": FONT, "font_size": "11"}
    return tag("text", [text], **look, **more, x=number(x), y=number(y))
