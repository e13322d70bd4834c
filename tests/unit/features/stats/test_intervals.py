"""Windows of time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.errors import BadParameter
from promise_pub.features.stats.intervals import (
    EARLIEST,
    MAX_WIDTH,
    ORIGIN,
    end_of,
    index_of,
    parse_width,
    start_at,
    start_of,
    until_next,
    width_text,
)
from promise_pub.features.stats.records import WHOLE

LATEST = datetime(9998, 12, 31, 23, 59, 59, 999_999, UTC)
MICROSECOND = timedelta(microseconds=1)

widths = st.integers(1, MAX_WIDTH)
moments = st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(UTC))


@given(moments, widths)
def test_a_moment_lies_in_the_window_that_starts_before_it_and_ends_after_it(at: datetime, width: int) -> None:
    start = start_of(at, width)
    end = end_of(start, width)
    assert end and start <= at < end
    assert start == start_at(index_of(at, width), width)
    assert (start - ORIGIN) % timedelta(seconds=width) == timedelta(0)
    assert start_of(start, width) == start
    assert start_of(end, width) == end
    assert start_of(end - MICROSECOND, width) == start
    assert at + (until_next(at, width) or timedelta(0)) == end


@given(moments, st.integers(1, 3_600), st.integers(1, 8_000))
def test_a_window_that_is_so_many_times_as_wide_has_the_number_divided_by_that(
    at: datetime, width: int, times: int
) -> None:
    assert index_of(at, width * times) == index_of(at, width) // times


def test_all_time_is_one_window_that_never_ends() -> None:
    assert start_of(EARLIEST, WHOLE) == start_of(LATEST, WHOLE) == ORIGIN
    assert end_of(ORIGIN, WHOLE) is until_next(LATEST, WHOLE) is None


def test_on_a_boundary_the_next_window_is_a_whole_one_away() -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert until_next(noon, 3_600) == timedelta(hours=1)
    assert until_next(noon - MICROSECOND, 3_600) == MICROSECOND
    assert until_next(noon + MICROSECOND, 3_600) == timedelta(hours=1) - MICROSECOND


def test_a_week_starts_on_monday() -> None:
    week = 7 * 86_400
    assert start_of(datetime(2026, 11, 29, 23, 59, tzinfo=UTC), week) == datetime(2026, 11, 23, tzinfo=UTC)
    assert start_of(datetime(1999, 12, 31, tzinfo=UTC), week) == datetime(1999, 12, 27, tzinfo=UTC)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneInfo]:
    """The zone of the server, in which clocks are turned."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield ZoneInfo("Europe/Berlin")
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("month", "day"), [(3, 29), (10, 25)])
def test_the_days_on_which_clocks_are_turned_have_every_hour_once(berlin: ZoneInfo, month: int, day: int) -> None:
    midnight = datetime(2026, month, day, tzinfo=UTC)
    assert time.localtime(midnight.timestamp()).tm_isdst != time.localtime(midnight.timestamp() + 86_400).tm_isdst
    halves = [midnight + timedelta(minutes=30 * half) for half in range(48)]
    starts = [start_of(at.astimezone(berlin), 3_600) for at in halves]
    assert starts[::2] == starts[1::2] == halves[::2]
    assert {start_of(at.astimezone(berlin), 86_400) for at in halves} == {midnight}
    assert [start.isoformat() for start in starts[::2]] == [f"2026-{month:02}-{day}T{hour:02}:00:00+00:00" for hour in range(24)]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("1s", 1),
        ("90s", 90),
        ("1m", 60),
        ("1m30s", 90),
        ("1h", 3_600),
        ("60m", 3_600),
        ("1d", 86_400),
        ("1d1h1m1s", 90_061),
        ("7d", 604_800),
        ("366d", MAX_WIDTH),
        ("all", 0),
    ],
)
def test_a_width_is_read(text: str, width: int) -> None:
    assert parse_width(text) == width


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "0d0h", "1", "m", "1w", "1m1h", "-1m", "1.5h", "1 h", "1H", "367d", "99999999d", "1²s", "١s", "1m\n", "9" * 5_000 + "s", "ALL"]
)  # fmt: skip
def test_what_is_no_width_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="interval must be a width such as 1m, 1h or 1d12h, or all"):
        parse_width(text)


@pytest.mark.parametrize(("width", "text"), [(1, "1s"), (60, "1m"), (90, "1m30s"), (604_800, "7d"), (90_061, "1d1h1m1s"), (0, "all")])  # fmt: skip
def test_a_width_is_written(width: int, text: str) -> None:
    assert width_text(width) == text


@given(widths)
def test_a_width_that_is_written_is_read_again(width: int) -> None:
    assert parse_width(width_text(width)) == width
