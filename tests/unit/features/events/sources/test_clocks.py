from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.sources.clocks import EPOCH, FileClock, first_year
from promise_pub.json_text import dump_json, parse_json
from promise_pub.sources import NoRecord

ZURICH = ZoneInfo("Europe/Zurich")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # clocks are turned by half an hour


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def read(clock: FileClock, *times: str) -> list[str]:
    """Returns times without a zone as the clock has them in UTC, without their date."""
    return [f"{clock.at(datetime.fromisoformat(time)):%H:%M}" for time in times]


def test_a_time_without_a_zone_is_of_the_file_s() -> None:
    assert read(FileClock(ZURICH), "2026-01-20 12:00", "2026-07-20 12:00") == ["11:00", "10:00"]


def test_an_hour_that_comes_twice_is_its_second_pass_once_times_have_stepped_back() -> None:
    times = [
        f"2026-10-25 {clock}" for clock in ("01:50", "02:00", "02:40", "02:59", "02:01", "02:00", "02:50", "03:00")
    ]

    assert read(FileClock(ZURICH), *times) == ["23:50", "00:00", "00:40", "00:59", "01:01", "01:00", "01:50", "02:00"]


def test_lines_that_are_a_little_out_of_order_are_no_second_pass() -> None:
    assert read(FileClock(ZURICH), "2026-10-25 02:40", "2026-10-25 02:11") == ["00:40", "00:11"]


def test_the_next_year_s_hour_begins_with_its_first_pass() -> None:
    clock = FileClock(ZURICH)

    assert read(clock, "2025-10-26 02:50", "2025-10-26 02:10", "2025-10-26 04:00") == ["00:50", "01:10", "03:00"]
    assert read(clock, "2026-10-25 02:10", "2026-10-25 02:55") == ["00:10", "00:55"]


def test_half_an_hour_that_comes_twice_is_told_by_a_shorter_step() -> None:
    # Clocks are turned back from 2:00 at +11:00 to 1:30 at +10:30.
    assert read(FileClock(LORD_HOWE), "2026-04-05 01:58", "2026-04-05 01:31", "2026-04-05 02:00") == [
        "14:58",
        "15:01",
        "15:30",
    ]


def test_a_time_that_clocks_were_put_forward_over_is_an_hour_later() -> None:
    assert read(FileClock(ZURICH), "2026-03-29 01:59", "2026-03-29 02:30", "2026-03-29 03:30") == [
        "00:59",
        "01:30",
        "01:30",
    ]


@given(
    st.lists(st.datetimes(datetime(2026, 10, 25), datetime(2026, 10, 25, 5)), max_size=12),  # noqa: DTZ001  of a zone's clock
    st.integers(0, 12),
)
def test_a_file_that_is_read_on_has_the_times_of_one_that_is_read_at_once(naive: list[datetime], cut: int) -> None:
    whole, first = FileClock(ZURICH), FileClock(ZURICH)
    before = [first.at(one) for one in naive[:cut]]
    second = FileClock(ZURICH, state=parse_json(dump_json(first.state)))

    assert before + [second.at(one) for one in naive[cut:]] == [whole.at(one) for one in naive]
    assert second.state == whole.state


@pytest.mark.parametrize(
    ("months", "modified", "year"),
    [
        ([3, 3, 4], "2026-04-10", 2026),
        ([11, 12, 1, 2], "2026-02-10", 2025),
        ([11, 1, 11, 1], "2026-02-10", 2024),
        ([12], "2026-02-10", 2025),  # nothing is told before it happens
        ([1, 1], "2025-12-31 12:00", 2026),  # but for a day, by another clock
        ([12, 1, 12, 1], "2026-01-10", 2025),  # a line of December comes late
        ([5, 4, 5], "2026-05-10", 2026),  # a line of April comes late
        ([], "2026-05-10", 2026),
    ],
)
def test_the_first_year_is_told_by_the_last_change_of_the_file(months: list[int], modified: str, year: int) -> None:
    assert first_year(months, utc(modified)) == year


def test_years_go_on_from_record_to_record() -> None:
    clock = FileClock(ZoneInfo("UTC"), first_year([11, 12, 1, 12, 1, 6, 2], utc("2027-02-10")))
    days = [(11, 30), (12, 31), (1, 1), (12, 31), (1, 2), (6, 1), (2, 1)]

    assert [clock.in_year(month, day).year for month, day in days] == [2025, 2025, 2026, 2025, 2026, 2026, 2027]
    assert clock.in_year(3, 1, 4, 5, 6, 7) == datetime(2027, 3, 1, 4, 5, 6, 7, UTC)


def test_years_go_on_where_the_last_reading_of_the_file_ended() -> None:
    before = FileClock(ZURICH, 2025)
    before.in_year(12, 31)
    clock = FileClock(ZURICH, 1999, before.state)

    assert clock.in_year(1, 1) == utc("2025-12-31 23:00")


def test_a_day_that_is_not_in_its_year_is_no_record_and_the_year_goes_on_without_it() -> None:
    clock = FileClock(ZURICH, 2026)
    for month, day, hour in ((2, 29, 0), (4, 31, 0), (13, 1, 0), (0, 1, 0), (1, 1, 25)):
        with pytest.raises(NoRecord):
            clock.in_year(month, day, hour)

    assert clock.in_year(3, 1).year == 2026
    assert FileClock(ZURICH, 2028).in_year(2, 29).day == 28  # in UTC


def test_a_time_without_a_year_in_a_file_whose_year_is_not_known_is_no_record() -> None:
    with pytest.raises(NoRecord, match="year"):
        FileClock(ZURICH).in_year(1, 1)


@pytest.mark.parametrize(
    ("number", "unit", "moment"),
    [
        (1, 1, "1970-01-01 00:00:01"),
        ("1764547200.1234567", 1, "2025-12-01 00:00:00.123456"),
        (1_764_547_200_123, 1_000, "2025-12-01 00:00:00.123"),
        ("1764547200123456", 1_000_000, "2025-12-01 00:00:00.123456"),
        (1_764_547_200_123_456_789, 1_000_000_000, "2025-12-01 00:00:00.123456"),
        ("253402300799.999999", 1, "9999-12-31 23:59:59.999999"),
    ],
)
def test_a_number_is_the_time_since_1970_to_the_microsecond(number: int | str, unit: int, moment: str) -> None:
    assert FileClock(ZURICH).epoch(number, unit) == utc(moment)


@pytest.mark.parametrize(
    "number",
    [
        0,
        -1,
        10**400,
        "",
        " ",
        "x",
        "NaN",
        "sNaN",
        "-Infinity",
        "1e400",
        "1e999999999",
        "-1e-999999999",
        "1_0",
        "١",
        "9" * 41,
        "253402300800",
    ],
)
def test_a_number_that_is_no_such_time_is_no_record(number: int | str) -> None:
    with pytest.raises(NoRecord):
        FileClock(ZURICH).epoch(number)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T12:00:00Z", "2026-11-20 12:00"),
        ("2026-11-20 12:00:00.5+05:45", "2026-11-20 06:15:00.5"),
        ("2026-11-20T12:00", "2026-11-20 11:00"),
    ],
)
def test_a_moment_has_its_own_zone_or_that_of_the_file(text: str, moment: str) -> None:
    assert FileClock(ZURICH).moment(text) == utc(moment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2026-02-30",
        "2026-11-20T25:00",
        "1970-01-01T00:00:00Z",
        "1601-01-01",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:00-12:00",
    ],
)
def test_a_moment_that_is_none_or_cannot_be_is_no_record(text: str) -> None:
    with pytest.raises(NoRecord):
        FileClock(ZURICH).moment(text)


@given(st.datetimes())
def test_whatever_a_file_says_is_after_1970_or_no_record(naive: datetime) -> None:
    try:
        moment = FileClock(ZURICH).at(naive)
    except NoRecord:
        assert naive < datetime(1970, 1, 2) or naive.year == 9999  # noqa: DTZ001  of a zone's clock
    else:
        assert moment > EPOCH and abs(moment - naive.replace(tzinfo=UTC)) < timedelta(hours=15)
