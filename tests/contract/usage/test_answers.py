"""Answers of usage beside their numbers: whole periods, time zones, exclusions, ranges without anybody."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from promise_pub.features.usage.records import Aggregate
from tests.usage.naive import Login
from tests.usage.site import NOW, Site, noon


def january(day: int) -> date:
    return date(2026, 1, day)


async def test_a_range_without_anybody_has_all_its_periods(site: Site) -> None:
    await site.log_in(("ann", noon(12)))
    await site.condense()

    usage = await site.count(january(14), january(17))

    assert usage.users == 0
    assert [(one.name, one.users, one.actions) for one in usage.periods] == [
        ("2026-01-14", 0, 0),
        ("2026-01-15", 0, 0),
        ("2026-01-16", 0, 0),
    ]


@pytest.mark.parametrize("aggregate", Aggregate)
async def test_usage_that_was_never_condensed_is_nobody_in_no_complete_period(site: Site, aggregate: Aggregate) -> None:
    usage = await site.count(january(1), date(2027, 1, 1), aggregate)

    assert (usage.users, usage.through, usage.timezone) == (0, None, "UTC")
    assert not any(one.users or one.complete for one in usage.periods)


async def test_people_of_days_are_not_added_up(site: Site) -> None:
    await site.log_in(*[(actor, noon(day)) for actor in ("ann", "bob") for day in range(12, 19)], ("cleo", noon(19)))
    await site.condense()

    usage = await site.count(january(12), january(26), Aggregate.WEEK)

    assert [(one.name, one.users, one.actions) for one in usage.periods] == [("2026-W03", 2, 14), ("2026-W04", 1, 1)]
    assert usage.users == 3


async def test_today_is_counted_as_far_as_it_went_and_is_not_complete(site: Site) -> None:
    await site.log_in(("ann", noon(18)), ("bob", noon(20, 11)))
    await site.condense()

    usage = await site.count(january(18), january(22))

    assert [(one.users, one.complete) for one in usage.periods] == [(1, True), (0, True), (1, False), (0, False)]
    assert usage.through == NOW


async def test_a_day_is_complete_once_it_was_condensed_after_its_end(site: Site) -> None:
    await site.log_in(("ann", noon(20, 11)))
    await site.condense()
    site.now += timedelta(days=1)
    before = await site.count(january(20), january(21))

    await site.condense()

    after = await site.count(january(20), january(21))
    assert ([one.complete for one in before.periods], [one.complete for one in after.periods]) == ([False], [True])


async def test_days_before_the_first_that_was_condensed_are_not_complete(site: Site) -> None:
    await site.log_in(("ann", noon(14)))
    await site.condense()

    usage = await site.count(january(5), january(19), Aggregate.WEEK)

    assert [(one.name, one.complete) for one in usage.periods] == [("2026-W02", False), ("2026-W03", False)]


async def test_a_condensed_week_of_the_range_is_complete(site: Site) -> None:
    site.set(start=january(1))
    await site.condense()

    usage = await site.count(january(5), january(21), Aggregate.WEEK)

    assert [(one.name, one.complete) for one in usage.periods] == [
        ("2026-W02", True),
        ("2026-W03", True),
        ("2026-W04", False),
    ]


async def test_a_window_looks_back_before_the_range(site: Site) -> None:
    await site.log_in(*[Login(actor, noon(day)) for actor, day in (("ann", 11), ("bob", 14), ("cleo", 17))])
    await site.condense()

    usage = await site.count(january(16), january(19), rolling=4)

    assert [(one.name, one.start, one.users, one.complete) for one in usage.periods] == [
        ("2026-01-16", january(13), 1, True),
        ("2026-01-17", january(14), 2, True),
        ("2026-01-18", january(15), 1, True),
    ]
    assert usage.users == 1


async def test_who_is_excluded_is_decided_when_it_is_counted(site: Site) -> None:
    await site.log_in(("admin", noon(14)), ("robot", noon(14)), ("ann", noon(14)))
    await site.condense()
    counted = []
    for names in ((), ("admin",), ("admin", "robot"), ("nobody",)):
        site.set(exclude=names)
        usage = await site.count(january(14), january(15))
        counted.append((usage.users, usage.periods[0].users, usage.periods[0].actions))

    assert counted == [(3, 3, 3), (2, 2, 2), (1, 1, 1), (3, 3, 3)]


async def test_a_login_at_a_moment_is_of_the_day_of_the_configured_zone(site: Site) -> None:
    site.set(timezone="Asia/Kathmandu")
    midnight = datetime(2026, 1, 14, 18, 15, tzinfo=UTC)
    await site.log_in(("before", midnight - timedelta(microseconds=1)), ("after", midnight))
    await site.condense()

    usage = await site.count(january(14), january(16))

    assert (usage.timezone, [one.users for one in usage.periods]) == ("Asia/Kathmandu", [1, 1])
