"""Retention of windows, by their width. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from promise_pub.features.stats.intervals import start_of
from promise_pub.features.stats.records import WHOLE
from promise_pub.features.stats.settings import StatsSettings

HOUR, DAY = 3600, 86_400  # seconds


class Retention:
    """The first moments whose windows are kept. They never fall, whatever the clock does: a window that was swept must not
    come back with a part of its count."""

    def __init__(self, settings: StatsSettings) -> None:
        self._settings = settings
        self._kept_from: dict[int, datetime] = {}

    def kept_from(self, widths: Iterable[int], now: datetime) -> Mapping[int, datetime]:
        """Returns for each width, unless its windows are kept for ever, the start of the first window that is kept."""
        for width in widths:
            if days := self._days(width):
                start = start_of(now - timedelta(days=days), width)
                self._kept_from[width] = max(start, self._kept_from.get(width, start))
        return dict(self._kept_from)

    def _days(self, width: int) -> int:
        if width == WHOLE:
            return 0
        if width < HOUR:
            return self._settings.keep_minutes
        return self._settings.keep_hours if width < DAY else self._settings.keep_days
