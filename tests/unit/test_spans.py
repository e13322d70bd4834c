"""From when on, as people write it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.errors import BadParameter
from promise_pub.spans import SINCE_PATTERN, parse_since

NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)


def test_nothing_is_from_the_beginning() -> None:
    assert parse_since("", NOW) is None


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("30m", timedelta(minutes=30)),
        ("30min", timedelta(minutes=30)),
        ("24h", timedelta(days=1)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("007d", timedelta(days=7)),
        ("0m", timedelta(0)),
        ("99999m", timedelta(minutes=99_999)),
    ],
)
def test_a_span_is_before_now(text: str, before: timedelta) -> None:
    assert parse_since(text, NOW) == NOW - before


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T12:00", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("2026-11-24 12:00", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("2026-11-24T12:00Z", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("2026-11-24T12:00+01:00", datetime(2026, 11, 24, 11, tzinfo=UTC)),
        ("2026-11-24T00:30:00.000001+01:00", datetime(2026, 11, 23, 23, 30, 0, 1, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_itself_in_utc(text: str, at: datetime) -> None:
    told = parse_since(text, NOW)
    assert told == at and told.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "7",
        "d",
        "7 d",
        "7D",
        "-7d",
        "7.5h",
        "7y",
        "1h30m",
        "100000m",
        "999999w",  # there was no calendar
        "٣d",
        "2026-13-01",
        "2026-02-30",
        "24.11.2026",
        "2026-11-24T12:00 01:00",  # an address where a plus stood for a blank
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59-14:00",
        "12:00",
        "\0",
        "7d\n7d",
    ],
)
def test_what_is_no_time_is_refused_with_what_is_taken(text: str) -> None:
    with pytest.raises(BadParameter) as refused:
        parse_since(text, NOW, "--since")
    message = refused.value.message
    assert message.startswith("--since must be a span such as 30m, 24h or 7d, or a time such as ")
    assert repr(text) in message and "\n" not in message


def test_what_is_refused_is_told_in_short() -> None:
    with pytest.raises(BadParameter) as refused:
        parse_since("9" * 10_000, NOW)
    assert len(refused.value.message) < 250 and refused.value.message.startswith("since must be")


@given(st.text())
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        told = parse_since(text, NOW)
    except BadParameter:
        return
    assert told is None or told.tzinfo is UTC


@settings(deadline=None, max_examples=300)
@given(st.from_regex(SINCE_PATTERN, fullmatch=True).filter(lambda text: not text.endswith("\n")))
def test_whatever_the_api_describes_is_taken(text: str) -> None:
    since = parse_since(text, datetime.now(UTC))
    assert (since is None) is (text == "")


def test_a_time_without_a_zone_is_of_the_one_that_is_meant() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert parse_since("2026-07-01T12:00", NOW, zone=berlin) == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert parse_since("2026-07-01T12:00Z", NOW, zone=berlin) == datetime(2026, 7, 1, 12, tzinfo=UTC)
