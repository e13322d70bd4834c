"""Counts against those that look at every login, for random logins in several time zones."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promise_pub.days import day_start
from promise_pub.features.usage.periods import cut
from promise_pub.features.usage.records import Aggregate
from tests.usage.naive import Login, people, times, windows
from tests.usage.site import Site
from tests.usage.zones import ZONES

# A range of each zone in which the length of its days changes.
TURNS = {
    "UTC": date(2026, 1, 1),
    "Europe/Berlin": date(2025, 10, 20),
    "America/Sao_Paulo": date(2018, 11, 1),
    "Asia/Kathmandu": date(2025, 12, 20),
    "Australia/Lord_Howe": date(2026, 3, 30),
    "Pacific/Apia": date(2011, 12, 25),
}
LENGTH = 12  # days

minutes = st.integers(0, LENGTH * 24 * 4 - 1).map(lambda quarter: quarter * 15)
random_logins = st.lists(st.tuples(st.sampled_from("abcdef"), minutes), max_size=60)
quick = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def logins_of(drawn: list[tuple[str, int]], zone: str) -> list[Login]:
    start = day_start(TURNS[zone], ZoneInfo(zone))
    return [Login(actor, start + timedelta(minutes=minute)) for actor, minute in drawn]


async def condense(site: Site, logins: list[Login], zone: str) -> None:
    await site.clear()
    site.set(timezone=zone, start=TURNS[zone], keep=36_500)
    site.now = day_start(TURNS[zone] + timedelta(days=LENGTH), ZoneInfo(zone)) + timedelta(hours=2)
    await site.log_in(*logins)
    await site.condense()


@pytest.mark.parametrize("zone", ZONES)
@quick
@given(random_logins, st.integers(0, LENGTH), st.integers(1, LENGTH + 5), st.sets(st.sampled_from("abx")))
async def test_every_aggregate_counts_as_one_who_looks_at_every_login(
    site: Site, zone: str, drawn: list[tuple[str, int]], skipped: int, length: int, excluded: set[str]
) -> None:
    logins, place = logins_of(drawn, zone), ZoneInfo(zone)
    await condense(site, logins, zone)
    site.set(exclude=tuple(sorted(excluded)))
    start = TURNS[zone] + timedelta(days=skipped)
    end = start + timedelta(days=length)

    for aggregate in Aggregate:
        usage = await site.count(start, end, aggregate)

        assert [(one.name, one.start, one.end) for one in usage.periods] == cut(aggregate, start, end)
        assert usage.users == people(logins, start, end, place, excluded)
        for one in usage.periods:
            since, until = max(one.start, start), min(one.end, end)
            assert one.users == people(logins, since, until, place, excluded)
            assert one.actions == times(logins, since, until, place, excluded)


@pytest.mark.parametrize("zone", ZONES)
@quick
@given(random_logins, st.integers(0, LENGTH), st.sets(st.sampled_from("abx")))
async def test_windows_of_every_width_count_as_one_who_looks_at_every_login(
    site: Site, zone: str, drawn: list[tuple[str, int]], skipped: int, excluded: set[str]
) -> None:
    logins, place = logins_of(drawn, zone), ZoneInfo(zone)
    await condense(site, logins, zone)
    site.set(exclude=tuple(sorted(excluded)))
    start, end = TURNS[zone] + timedelta(days=skipped), TURNS[zone] + timedelta(days=LENGTH + 3)

    for width in range(2, LENGTH + 3):
        usage = await site.count(start, end, rolling=width)

        assert [(one.start, one.end) for one in usage.periods] == windows(start, end, width)
        for one in usage.periods:
            assert one.users == people(logins, one.start, one.end, place, excluded)
            assert one.actions == times(logins, one.start, one.end, place, excluded)
