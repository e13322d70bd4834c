"""Axes of charts: their scales, and labels of moments. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from promise_pub.features.stats.chart.series import Chart
from promise_pub.presentation.charts import nice
from promise_pub.presentation.plots import Scale

DAY = 86_400  # seconds


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


def moment_label(at: datetime, width: int, starts: Sequence[datetime]) -> str:
    """Returns a window's start without the parts that all of them share."""
    if width % DAY == 0:
        return f"{at:%Y-%m-%d}" if starts[0].year != starts[-1].year else f"{at.day} {at:%b}"
    time = f"{at:%H:%M:%S}" if width % 60 else f"{at:%H:%M}"
    return time if starts[0].date() == starts[-1].date() else f"{at.day} {at:%b} {time}"
