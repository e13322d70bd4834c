"""Casts to days, time zones and schedules, and to names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from promise_pub.settings import casts


@pytest.mark.parametrize(
    ("cast", "text", "value"),
    [
        (casts.time_zone, "UTC", ZoneInfo("UTC")),
        (casts.time_zone, "Asia/Kathmandu", ZoneInfo("Asia/Kathmandu")),
        (casts.day, "2026-01-31", date(2026, 1, 31)),
        (casts.day, "", None),
        (casts.schedule, "30 1 * * mon-fri", "30 1 * * mon-fri"),
        (casts.names, "admin, bob,,cid ", ("admin", "bob", "cid")),
        (casts.names, "", ()),
    ],
)
def test_values_are_taken(cast: Callable[[str], Any], text: str, value: Any) -> None:
    assert cast(text) == value


@pytest.mark.parametrize("text", ["", "Berlin", "Europe", "CEST+1", "../UTC", "/etc/localtime", "a\0b", "x" * 5000])
def test_a_zone_is_one_of_the_database_of_zones(text: str) -> None:
    with pytest.raises(ValueError, match="such as UTC or Europe/Berlin"):
        casts.time_zone(text)


@pytest.mark.parametrize("text", ["today", "2026-02-30", "01/02/2026", "2026"])
def test_no_day_is_guessed(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2026-01-31"):
        casts.day(text)


@pytest.mark.parametrize("text", ["", "@daily", "* * * *", "0 0 30 2 *", "61 * * * *", "* * * * * *"])
def test_a_schedule_has_five_fields_and_comes_some_day(text: str) -> None:
    with pytest.raises(ValueError, match="five fields of cron"):
        casts.schedule(text)
