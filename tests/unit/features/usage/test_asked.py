"""Questions about usage: everything that can be written, the values that it stands for, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as property_of
from hypothesis import strategies as st

from promise_pub.errors import BadParameter
from promise_pub.features.usage.asked import (
    FIRST_DAY,
    LAST_DAY,
    MAX_PERIODS,
    collect,
    parse_format,
    parse_question,
    read_body,
)
from promise_pub.features.usage.periods import cut
from promise_pub.features.usage.records import Action, Aggregate, Question

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)  # a Wednesday
TODAY, TOMORROW = date(2026, 11, 25), date(2026, 11, 26)


def ask(now: datetime = NOW, zone: Any = UTC, **given: str) -> Question:
    return parse_question(given, now, zone)


def refusal(**given: str) -> str:
    with pytest.raises(BadParameter) as raised:
        ask(**given)
    return raised.value.message


def test_unless_told_otherwise_these_are_logins_of_ninety_days_by_week() -> None:
    asked = ask()
    assert (asked.action, asked.aggregate, asked.rolling) == (Action.LOGIN, Aggregate.WEEK, 0)
    assert (asked.start, asked.end) == (date(2026, 8, 24), TOMORROW), "from the Monday of the 28th"
    assert ask(rolling="7").aggregate is Aggregate.DAY


@pytest.mark.parametrize(
    ("aggregate", "start"),
    [
        ("day", date(2026, 8, 28)),
        ("week", date(2026, 8, 24)),
        ("month", date(2026, 8, 1)),
        ("quarter", date(2026, 7, 1)),
        ("year", date(2026, 1, 1)),
    ],
)
def test_ninety_days_are_moved_back_to_the_start_of_a_period(aggregate: str, start: date) -> None:
    """Nobody who gives no start gets a first period that is cut."""
    for written in (aggregate, aggregate[0], aggregate.upper(), aggregate[0].upper(), aggregate.title()):
        asked = ask(aggregate=written)
        assert (asked.aggregate, asked.start) == (Aggregate(aggregate), start)
    assert ask(aggregate="day", end="2026-03-01").start == date(2025, 12, 1), "of the end, where that is given"


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-01-31", date(2026, 1, 31), date(2026, 1, 31)),
        # A time of day neither cuts the first day off nor the last one.
        ("2026-01-31T10:00", date(2026, 1, 31), date(2026, 2, 1)),
        ("2026-01-31T00:00", date(2026, 1, 31), date(2026, 1, 31)),
        # A zone is heeded, wherever the server is. 00:00+05:00 is 19:00 UTC, the day before.
        ("2026-01-01T00:00:00+05:00", date(2025, 12, 31), date(2026, 1, 1)),
        ("2026-01-31T23:30Z", date(2026, 2, 1), date(2026, 2, 2)),
        ("2026-01-31T23:00Z", date(2026, 2, 1), date(2026, 2, 1)),
        ("0d", TODAY, TOMORROW),
        ("90d", date(2026, 8, 27), date(2026, 8, 28)),
        ("12w", date(2026, 9, 2), date(2026, 9, 3)),
        ("14h", date(2026, 11, 24), date(2026, 11, 25)),
    ],
)
def test_a_moment_is_its_day_in_the_zone_of_the_days(text: str, start: date, end: date) -> None:
    assert ask(zone=BERLIN, start=text, end="2026-12-01").start == start
    assert ask(zone=BERLIN, start="2025-01-01", end=text).end == end


def test_a_span_of_days_is_not_shifted_where_clocks_are_turned() -> None:
    shortly_after_midnight = datetime(2026, 3, 30, 0, 30, tzinfo=BERLIN)
    assert ask(now=shortly_after_midnight, zone=BERLIN, start="7d").start == date(2026, 3, 23)
    cairo = ZoneInfo("Africa/Cairo")
    assert ask(zone=cairo, start="2026-01-01", end="2026-04-24").end == date(2026, 4, 24), "which begins at one o'clock"
    assert ask(zone=cairo, start="2026-01-01", end="2026-04-24T00:00").end == date(2026, 4, 24)


@pytest.mark.parametrize("text", ["10", "monday", "01/02/2019", "2019", "2026-13-01", "2026-01-32", "now", "5x", "-1d"])
def test_no_date_is_guessed(text: str) -> None:
    for name in ("start", "end"):
        assert refusal(**{name: text}).startswith(f"{name} must be a span such as 30m, 24h or 7d, or a time such as")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"aggregate": "1s"}, "aggregate must be one of day, week, month, quarter, year, or their first letters"),
        ({"aggregate": "W-SUN"}, "aggregate must be one of day"),
        ({"action": "logout"}, "action must be one of login, run, token, not 'logout'"),
        ({"rolling": "1"}, "rolling must be 0, or a number of days from 2 to 366"),
        ({"rolling": "367"}, "from 2 to 366"),
        ({"rolling": "-7"}, "from 2 to 366"),
        ({"rolling": "٧"}, "from 2 to 366"),
        ({"rolling": "7", "aggregate": "week"}, "rolling goes with aggregate day only, not week"),
        ({"start": "2026-02-01", "end": "2026-02-01"}, "start must be before end"),
        ({"start": "2027-01-01"}, "start must be before end"),
        ({"start": "1969-12-31"}, "start must be from 1970-01-01 to 2199-12-31"),
        ({"end": "2200-01-01"}, "end must be from 1970-01-01"),
        ({"end": "9999-12-31T23:59Z"}, "end must be from 1970-01-01"),
        ({"start": "99999w"}, "start must be from 1970-01-01"),
        ({"start": "2000-01-01", "end": "2026-01-01", "aggregate": "day"}, "more than 4,000 periods apart, by day"),
        ({"start": "1970-01-01", "end": "2199-12-31"}, "more than 4,000 periods apart, by week"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_values_that_are_taken(given: dict[str, str], said: str) -> None:
    assert said in refusal(**given)


@property_of(
    st.sampled_from([*Aggregate]),
    st.dates(FIRST_DAY, LAST_DAY),
    st.dates(FIRST_DAY, LAST_DAY),
)
def test_every_range_is_refused_or_has_a_bounded_number_of_periods(
    aggregate: Aggregate, one: date, other: date
) -> None:
    try:
        asked = ask(aggregate=aggregate, start=str(min(one, other)), end=str(max(one, other)))
    except BadParameter:
        return
    assert 1 <= len(cut(aggregate, asked.start, asked.end)) <= MAX_PERIODS


@property_of(
    st.fixed_dictionaries(
        {}, optional={name: st.text(max_size=40) for name in ("start", "end", "aggregate", "rolling", "action")}
    )
)
def test_whatever_is_written_is_a_question_or_a_bad_parameter(given: dict[str, str]) -> None:
    try:
        ask(**{name: text for name, text in given.items() if text})
    except BadParameter as error:
        assert error.message


def test_the_most_periods_are_taken_and_one_more_is_not() -> None:
    asked = ask(aggregate="d", start="2016-01-01", end="2026-12-14")
    assert len(cut(Aggregate.DAY, asked.start, asked.end)) == MAX_PERIODS
    assert "4,000" in refusal(aggregate="d", start="2016-01-01", end="2026-12-15")


def test_a_parameter_that_is_unknown_or_given_twice_is_named() -> None:
    with pytest.raises(BadParameter, match="no parameter 'since': there are start, end, aggregate"):
        collect([("since", "1")])
    with pytest.raises(BadParameter, match="start is given more than once"):
        collect([("start", "1d"), ("start", "")])
    assert collect([("start", ""), ("end", "1d")]) == {"end": "1d"}, "a form sends empty fields"


def test_the_format_has_two_names_that_have_to_agree() -> None:
    available = ("html", "csv")
    assert parse_format({}, available) is None
    assert parse_format({"content_type": "csv"}, available) == parse_format({"format": "csv"}, available) == "csv"
    assert parse_format({"content_type": "csv", "format": "csv"}, available) == "csv"
    with pytest.raises(BadParameter, match="content_type and format name different formats"):
        parse_format({"content_type": "csv", "format": "html"}, available)
    for name in ("content_type", "format"):
        with pytest.raises(BadParameter, match=f"{name} must be one of html, csv, not 'xlsx'"):
            parse_format({name: "xlsx"}, available)


@pytest.mark.parametrize(
    ("content_type", "body", "found"),
    [
        ("application/json", b"", []),
        ("application/octet-stream", b"", []),
        ("application/json", b'{"end": "", "rolling": ""}', [("end", ""), ("rolling", "")]),
        ("application/json", b'{"start": "90d", "rolling": 7}', [("start", "90d"), ("rolling", "7")]),
        ("application/x-www-form-urlencoded", b"start=90d&end=", [("start", "90d"), ("end", "")]),
        ("application/x-www-form-urlencoded", b"a=%2B05&a=1", [("a", "+05"), ("a", "1")]),
    ],
)
def test_a_body_is_a_form_or_an_object(content_type: str, body: bytes, found: list[tuple[str, str]]) -> None:
    assert read_body(content_type, body) == found


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("application/json", b"[]", "must be a JSON object"),
        ("application/json", b"{", "no JSON that can be used"),
        ("application/json", b"\xff\xfe\xff", "no JSON that can be used"),
        ("application/json", b'{"start": null}', "start must be text"),
        ("application/json", b'{"rolling": true}', "rolling must be a whole number"),
        ("application/json", b'{"rolling": "7"}', "rolling must be a whole number"),
        ("application/x-www-form-urlencoded", b"a=%ff", "form cannot be read"),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 21), "at most 20 fields"),
        ("text/csv", b"a,b", "must be a form"),
    ],
)
def test_any_other_body_is_refused(content_type: str, body: bytes, said: str) -> None:
    with pytest.raises(BadParameter, match=said):
        read_body(content_type, body)
