"""Axes of charts: scales and their labels. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from promise_pub.features.stats.chart.series import Chart
from promise_pub.presentation.charts import nice, short

DAY = 86_400  # seconds
MOST_LABELS = 6


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


def scale_of(chart: Chart) -> Scale:
    """Returns a scale with 0 on it, for the stacks of bars or for the values of lines."""
    if chart.kind == "bars":
        columns = list(zip(*(one.values for one in chart.series), strict=True))
        high = max((sum(value for value in column if value and value > 0) for column in columns), default=0)
        low = min((sum(value for value in column if value and value < 0) for column in columns), default=0)
    else:
        values = [value for one in chart.series for value in one.values if value is not None]
        high, low = max(values, default=0), min(0, *values) if values else 0
    return Scale(-nice(-low) if low < 0 else 0.0, nice(high), whole=chart.kind == "bars")


def label_places(count: int) -> list[int]:
    """Returns the windows that are labelled: MOST_LABELS at most, at equal distances."""
    step = max(1, -(-count // MOST_LABELS))
    return [*range(0, count, step)]


def moment_label(at: datetime, width: int, starts: Sequence[datetime]) -> str:
    """Returns a window's start without the parts that all of them share."""
    if width % DAY == 0:
        return f"{at:%Y-%m-%d}" if starts[0].year != starts[-1].year else f"{at.day} {at:%b}"
    time = f"{at:%H:%M:%S}" if width % 60 else f"{at:%H:%M}"
    return time if starts[0].date() == starts[-1].date() else f"{at.day} {at:%b} {time}"
