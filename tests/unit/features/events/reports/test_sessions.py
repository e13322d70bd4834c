from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.days import ONE_DAY, day_of, day_start
from promise_pub.features.events.reports.sessions import (
    Gap,
    Hours,
    Lasting,
    Session,
    Width,
    count_hours,
    find_gaps,
    follow_sessions,
    join_sessions,
)
from tests.usage.zones import ZONES

NOTHING = timedelta(0)
QUARTER = timedelta(minutes=15)
ZURICH = ZoneInfo("Europe/Zurich")

MOMENTS = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001  bounds are without a zone
    datetime(2026, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@st.composite
def lasting(draw: st.DrawFn) -> Sequence[Lasting]:
    """Events of some days, in their order, of which some last."""
    start = draw(MOMENTS)
    pauses = draw(st.lists(st.integers(0, 2_000), max_size=40))
    events = []
    for pause in pauses:
        start += timedelta(minutes=pause)
        minutes = draw(st.none() | st.integers(0, 3_000))
        events.append(Lasting(start, None if minutes is None else start + timedelta(minutes=minutes)))
    return events


def at(clock: str, day: int = 20) -> datetime:
    hour, minute = clock.split(":")
    return datetime(2026, 11, day, int(hour), int(minute), tzinfo=UTC)


def of(*clocks: str) -> list[Lasting]:
    return [Lasting(at(clock)) for clock in clocks]


def test_a_pause_as_long_as_the_gap_ends_no_session_and_a_longer_one_does() -> None:
    assert [*join_sessions(of("9:00", "9:15", "9:31"), QUARTER)] == [
        Session(at("9:00"), at("9:00"), at("9:15"), 2),
        Session(at("9:31"), at("9:31"), at("9:31"), 1),
    ]


def test_a_pause_is_counted_from_the_latest_end_of_all_events_so_far() -> None:
    events = [Lasting(at("9:00"), at("10:00")), Lasting(at("9:05"), at("9:10")), Lasting(at("10:14"))]

    assert [*join_sessions(events, QUARTER)] == [Session(at("9:00"), at("9:00"), at("10:14"), 3)]


def test_an_event_is_told_with_its_session_as_far_as_that_has_come() -> None:
    followed = follow_sessions(of("9:00", "9:10", "10:00"), QUARTER)

    assert [(event.at, session.first, session.end, session.events) for event, session in followed] == [
        (at("9:00"), at("9:00"), at("9:00"), 1),
        (at("9:10"), at("9:00"), at("9:10"), 2),
        (at("10:00"), at("10:00"), at("10:00"), 1),
    ]


def test_a_lead_is_cut_where_the_session_before_ended() -> None:
    sessions = [*join_sessions(of("9:00", "9:20", "11:00"), QUARTER, lead=timedelta(minutes=30))]

    assert [one.begin for one in sessions] == [at("8:30"), at("9:00"), at("10:30")]


def test_no_events_have_no_sessions() -> None:
    assert not [*join_sessions([], QUARTER)]
    assert not [*find_gaps([])]
    assert not [*count_hours([], ZURICH)]


@pytest.mark.parametrize(
    "events",
    [of("9:01", "9:00"), [Lasting(at("9:00"), at("8:59"))], [Lasting(at("9:00"), at("10:00")), *of("9:30", "9:29")]],
)
def test_events_out_of_order_are_refused(events: Sequence[Lasting]) -> None:
    with pytest.raises(ValueError, match="order"):
        [*join_sessions(events, QUARTER)]


def test_a_gap_is_from_the_end_of_a_session_to_the_first_event_of_the_next() -> None:
    sessions = join_sessions(of("9:00", "9:10", "10:00", "12:00"), QUARTER, lead=timedelta(minutes=5))
    gaps = [*find_gaps(sessions)]

    assert gaps == [Gap(at("9:10"), at("10:00")), Gap(at("10:00"), at("12:00"))]
    assert [gap.length for gap in gaps] == [timedelta(minutes=50), timedelta(hours=2)]


@given(lasting(), st.integers(0, 600), st.integers(0, 900))
def test_sessions_never_overlap_have_every_event_and_are_apart_by_more_than_the_gap(
    events: Sequence[Lasting], gap: int, lead: int
) -> None:
    sessions = [*join_sessions(events, timedelta(minutes=gap), timedelta(minutes=lead))]

    assert sum(one.events for one in sessions) == len(events)
    assert all(one.begin <= one.first <= one.end for one in sessions)
    assert all(before.end <= after.begin for before, after in pairwise(sessions))
    assert all(pause.length > timedelta(minutes=gap) for pause in find_gaps(sessions))
    for event in events:
        assert sum(one.first <= event.at and (event.until or event.at) <= one.end for one in sessions) >= 1


def test_a_session_over_midnight_is_in_both_days_with_its_parts() -> None:
    session = Session(at("21:00"), at("21:00"), at("1:30", 21), 9)  # 22:00 to 02:30 in Zurich

    assert [*count_hours([session], ZURICH)] == [
        Hours(date(2026, 11, 20), at("21:00"), at("23:00"), 1, timedelta(hours=2)),
        Hours(date(2026, 11, 21), at("23:00"), at("1:30", 21), 1, timedelta(hours=2.5)),
    ]
    for width, start in ((Width.WEEK, date(2026, 11, 16)), (Width.MONTH, date(2026, 11, 1))):
        assert [*count_hours([session], ZURICH, width)] == [
            Hours(start, at("21:00"), at("1:30", 21), 1, timedelta(hours=4.5))
        ]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Zurich", date(2026, 3, 29), 23),
        ("Europe/Zurich", date(2026, 10, 25), 25),
        ("America/Sao_Paulo", date(2018, 2, 17), 25),  # its last hour comes twice
    ],
)
def test_a_day_on_which_clocks_are_turned_has_all_its_hours(zone: str, day: date, hours: int) -> None:
    before, after = day_start(day - ONE_DAY, ZoneInfo(zone)), day_start(day + 2 * ONE_DAY, ZoneInfo(zone))
    days = [*count_hours([Session(before, before, after, 2)], ZoneInfo(zone))]

    assert [(one.start, one.length) for one in days] == [
        (day - ONE_DAY, ONE_DAY),
        (day, timedelta(hours=hours)),
        (day + ONE_DAY, ONE_DAY),
    ]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_days_are_told_up_to_the_last_but_one_and_refused_after_it(zone: str) -> None:
    end = datetime(9999, 12, 30, tzinfo=UTC)
    begin = end - timedelta(hours=1)

    last = Session(begin, begin, end - timedelta(microseconds=1), 1)
    assert sum((one.length for one in count_hours([last], ZoneInfo(zone))), NOTHING) == last.end - begin
    with pytest.raises(ValueError, match="9999"):
        [*count_hours([Session(begin, begin, end, 1)], ZoneInfo(zone))]


@given(lasting(), st.sampled_from(ZONES), st.sampled_from(Width))
def test_hours_of_all_periods_are_those_of_all_sessions(events: Sequence[Lasting], zone: str, width: Width) -> None:
    sessions = [*join_sessions(events, QUARTER, QUARTER)]
    periods = [*count_hours(sessions, ZoneInfo(zone), width)]

    assert sum((one.length for one in periods), NOTHING) == sum((one.end - one.begin for one in sessions), NOTHING)
    assert all(before.start < after.start for before, after in pairwise(periods))
    assert all(one.start <= day_of(one.first, ZoneInfo(zone)) for one in periods)
