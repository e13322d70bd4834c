"""How long windows are kept."""

from __future__ import annotations

from datetime import timedelta

from promise_pub.features.stats.intervals import start_of
from promise_pub.features.stats.retention import Retention
from promise_pub.features.stats.settings import StatsSettings
from tests.stats.plugins import NOON

DAY = timedelta(days=1)


def test_windows_are_kept_by_their_width() -> None:
    kept = Retention(StatsSettings()).kept_from([60, 3599, 3600, 43_200, 86_400, 604_800, 0], NOON)
    assert kept == {
        60: NOON - 14 * DAY,
        3599: start_of(NOON - 14 * DAY, 3599),
        3600: NOON - 400 * DAY,
        43_200: NOON - 400 * DAY,
    }


def test_a_clock_that_is_set_back_brings_no_window_back() -> None:
    retention = Retention(StatsSettings())
    first = retention.kept_from([60], NOON)
    assert retention.kept_from([60], NOON - DAY) == first
    assert retention.kept_from([60], NOON + DAY) == {60: first[60] + DAY}
