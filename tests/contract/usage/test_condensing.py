"""The job that condenses days, on a real journal."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta

import pytest

from promise_pub.errors import BadParameter
from promise_pub.features.jobs.arguments import read_arguments
from promise_pub.features.usage.errors import UsageZoneChanged
from promise_pub.features.usage.records import Action
from tests.journal.new_events import an_event
from tests.usage.naive import Login
from tests.usage.running import CutOff
from tests.usage.site import NOW, Site, noon

TEN_DAYS = [Login(actor, noon(day, hour)) for day in range(11, 21) for actor, hour in (("ann", 8), ("bob", 9))]


def january(day: int) -> date:
    return date(2026, 1, day)


async def test_a_run_that_is_cut_off_on_day_4_of_10_keeps_3_and_the_next_goes_on_with_the_fourth(site: Site) -> None:
    await site.log_in(*TEN_DAYS)

    with pytest.raises(CutOff):
        await site.condense(cut_off_in=4)

    assert await site.next() == "2026-01-14"
    assert await site.days() == [january(11), january(12), january(13)]
    resumed = await site.condense()
    assert resumed.told[0] == (1, 7, "2026-01-14: 2 people")
    assert await site.days() == [january(day) for day in range(11, 21)]
    assert [row[:4] for row in await site.rows()] == [
        (january(day), "login", actor, 1) for day in range(11, 21) for actor in ("ann", "bob")
    ]
    assert await site.next() == "2026-01-18"


async def test_what_is_told_of_a_run_is_never_ahead_of_what_is_done(site: Site) -> None:
    await site.log_in(*TEN_DAYS)

    work = await site.condense(start="2026-01-11", end="2026-01-13")

    assert work.told == [
        (1, 3, "2026-01-11: 2 people"),
        (2, 3, "2026-01-12: 2 people"),
        (3, 3, "2026-01-13: 2 people"),
        (3, 3, "2026-01-11 to 2026-01-13, 3 days"),
    ]
    assert await site.days() == [january(11), january(12), january(13)]


async def test_somebody_is_one_row_a_day_with_how_often_and_from_when_to_when(site: Site) -> None:
    await site.log_in(*[("ann", noon(19, hour)) for hour in (7, 12, 23)], ("ann", noon(20)))

    await site.condense()

    assert await site.rows() == [
        (january(19), "login", "ann", 3, noon(19, 7), noon(19, 23)),
        (january(20), "login", "ann", 1, noon(20), noon(20)),
    ]


async def test_days_without_anybody_are_condensed_too(site: Site) -> None:
    await site.log_in(("ann", noon(15)))

    await site.condense()

    assert await site.days() == [january(day) for day in range(15, 21)]


async def test_a_journal_without_a_login_is_condensed_from_today_on(site: Site) -> None:
    await site.condense()

    assert (await site.days(), await site.rows()) == ([january(20)], [])


async def test_a_day_that_became_empty_is_emptied(site: Site) -> None:
    await site.log_in(*TEN_DAYS)
    await site.condense()
    await site.pool.execute("DELETE FROM journal_events WHERE at < $1", noon(12, 0))

    await site.condense(start="2026-01-11", end="2026-01-11")

    assert january(11) in await site.days()
    assert january(11) not in {row[0] for row in await site.rows()}


@pytest.mark.parametrize("arguments", [{"reset": "yes"}, {"reset": "yes", "start": "2026-01-12"}])
async def test_a_reset_replaces_days_that_were_final(site: Site, arguments: dict[str, str]) -> None:
    await site.log_in(*TEN_DAYS)
    await site.condense()
    right = await site.rows()
    await site.pool.execute(
        "UPDATE usage_actors SET actor = 'nobody', times = 7 WHERE actor = 'ann' AND day >= '2026-01-12'"
    )

    await site.condense(**arguments)

    assert await site.rows() == right


async def test_a_range_after_the_cookie_leaves_no_gap_for_the_runs_after_it(site: Site) -> None:
    await site.log_in(*TEN_DAYS)
    await site.condense(start="2026-01-11", end="2026-01-12")
    before = await site.next()

    await site.condense(start="2026-01-16")

    assert (before, await site.next()) == ("2026-01-13", "2026-01-13")
    await site.condense()
    assert await site.days() == [january(day) for day in range(11, 21)]


async def test_a_range_before_the_cookie_does_not_move_it_back(site: Site) -> None:
    await site.log_in(*TEN_DAYS)
    await site.condense()

    await site.condense(start="2026-01-11", end="2026-01-12")

    assert await site.next() == "2026-01-18"


async def test_the_first_run_with_a_start_leaves_the_days_before_it_to_the_next(site: Site) -> None:
    await site.log_in(*TEN_DAYS)

    await site.condense(start="2026-01-19")

    await site.condense()
    assert await site.days() == [january(day) for day in range(11, 21)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"end": "2026-01-21"},
        {"start": "2026-01-21"},
        {"start": "2026-01-12", "end": "2026-01-11"},
        {"end": "2026-01-01"},
    ],
)
async def test_days_that_are_not_there_are_refused_before_anything_is_written(
    site: Site, arguments: dict[str, str]
) -> None:
    await site.log_in(*TEN_DAYS)

    with pytest.raises(BadParameter):
        await site.condense(**arguments)

    assert (await site.days(), await site.next()) == ([], None)


@pytest.mark.parametrize("start", [None, date(2026, 1, 15), date(2026, 1, 5)])
async def test_days_begin_where_the_configuration_says_or_with_the_first_event(site: Site, start: date | None) -> None:
    site.set(start=start)
    await site.log_in(*TEN_DAYS)

    await site.condense()

    assert (await site.days())[0] == start or january(11)


async def test_own_events_alone_are_counted_whatever_others_say(site: Site) -> None:
    await site.log_in(("ann", noon(19)), source="bus")
    await site.log_in(("bob", noon(19)), source="api", body=b"successful login")
    await site.log_in(("cleo", noon(19)), topic="account.login_failed")
    await site.log_in((None, noon(19)))  # nobody has to log in
    await site.log_in(("dora", noon(19)))

    await site.condense()

    assert [row[:3] for row in await site.rows()] == [(january(19), "login", "dora")]


async def test_a_prefix_of_topics_that_was_another_once_loses_nobody(site: Site) -> None:
    former = an_event(source="own", topic="former.account.login", actor="ann", at=noon(18, 8))
    await site.journal.append([former])
    await site.log_in(("ann", noon(18, 9)), ("bob", noon(18)))

    await site.condense()
    await site.condense(reset="yes")

    assert [row[1:4] for row in await site.rows()] == [("login", "ann", 2), ("login", "bob", 1)]


async def test_logins_runs_and_tokens_are_counted_apart(site: Site) -> None:
    for action in Action:
        await site.log_in((f"who did {action}", noon(19)), topic=action.topic)

    await site.condense()

    assert [row[1:3] for row in await site.rows()] == [(action, f"who did {action}") for action in sorted(Action)]
    assert [one.actor for one in await site.usage.day(january(19), Action.TOKEN)] == ["who did token"]


async def test_a_late_event_is_counted_by_the_next_run_and_a_later_one_when_asked(site: Site) -> None:
    await site.log_in(*TEN_DAYS)
    await site.condense()
    await site.log_in(("late", noon(18)), ("later", noon(17)))

    await site.condense()

    assert {row[0] for row in await site.rows() if row[2] == "late"} == {january(18)}
    assert not any(row[2] == "later" for row in await site.rows())
    await site.condense(start="2026-01-17")
    assert any(row[2] == "later" for row in await site.rows())


async def test_a_day_is_final_once_it_ended_settle_days_ago(site: Site) -> None:
    site.set(settle=0)
    await site.log_in(*TEN_DAYS)

    work = await site.condense()
    site.now += timedelta(days=1)
    next_day = await site.condense()

    assert (len(work.told), len(next_day.told)) == (10 + 1, 2 + 1)


async def test_another_time_zone_is_refused_until_the_days_are_condensed_anew(site: Site) -> None:
    await site.log_in(("ann", datetime(2026, 1, 14, 23, 30, tzinfo=UTC)))
    await site.condense()
    site.set(timezone="Europe/Berlin")

    with pytest.raises(UsageZoneChanged, match="promise-pub jobs run usage --reset") as raised:
        await site.condense()

    assert not raised.value.passes
    assert (await site.count(january(14), january(21))).timezone == "UTC"
    await site.condense(reset="yes")
    assert [row[0] for row in await site.rows()] == [january(15)]
    usage = await site.count(january(14), january(21))
    assert (usage.timezone, usage.zone_changes) == ("Europe/Berlin", [])
    await site.condense()


async def test_a_reset_keeps_days_that_the_journal_does_not_have_whole(site: Site) -> None:
    await site.log_in(*TEN_DAYS)
    await site.condense()
    right = await site.rows()
    # All that happened up to 08:00 on the 14th; it may have come five minutes earlier.
    await site.pool.execute("DELETE FROM journal_events WHERE at <= $1", noon(14, 8))
    await site.pool.execute("UPDATE journal_head SET swept = $1", noon(14, 8) - timedelta(minutes=5))
    site.set(timezone="Atlantic/Azores")

    work = await site.condense(reset="yes")

    assert work.told[-1] == (
        6,
        6,
        (
            "2026-01-15 to 2026-01-20, 6 days; those before 2026-01-15 stay as they are: "
            "events of them were swept, or they are older than [usage] keep"
        ),
    )
    assert await site.rows() == right
    usage = await site.count(january(11), january(21))
    assert (usage.timezone, usage.zone_changes) == ("Atlantic/Azores", [(january(15), "Atlantic/Azores")])


async def test_a_start_keeps_days_that_the_journal_does_not_have_whole(site: Site) -> None:
    await site.log_in(*TEN_DAYS)
    await site.condense()
    right = await site.rows()
    await site.pool.execute("DELETE FROM journal_events")
    await site.pool.execute("UPDATE journal_head SET swept = $1", noon(20))

    work = await site.condense(start="2026-01-11", end="2026-01-15")

    assert await site.rows() == right
    assert work.told[-1]
    assert work.told[-1][2].startswith("no day; those before 2026-01-21 stay as they are")


async def test_a_sweep_in_the_middle_of_a_run_leaves_whole_days(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.log_in(*TEN_DAYS)
    await site.condense()
    right, kept_since, asked = await site.rows(), site.journal.kept_since, 0

    async def sweep_before_the_third_time() -> datetime | None:
        nonlocal asked
        asked += 1
        if asked == 2:
            await site.pool.execute("DELETE FROM journal_events WHERE at < $1", noon(14))
            await site.pool.execute("UPDATE journal_head SET swept = $1", noon(14))
        return await kept_since()

    monkeypatch.setattr(site.journal, "kept_since", sweep_before_the_third_time)

    work = await site.condense(reset="yes")

    assert await site.rows() == right
    assert work.told[0] == (1, 10, "2026-01-11: left as it is")


async def test_days_are_condensed_though_a_clock_that_was_a_year_ahead_has_condensed_others(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await site.log_in(*TEN_DAYS)
    site.now += timedelta(days=365)
    site.set(start=date(2027, 1, 10))
    await site.condense()
    site.now = NOW
    site.set(start=None)

    work = await site.condense()

    assert [told[2] for told in work.told if told] == [
        "2026-01-18: 2 people",
        "2026-01-19: 2 people",
        "2026-01-20: 2 people",
        "2026-01-18 to 2026-01-20, 3 days",
    ]
    assert await site.next() == "2026-01-18"
    assert await site.days() == [january(18), january(19), january(20)]
    assert "ahead" in caplog.text


async def test_days_that_are_too_old_are_swept(site: Site) -> None:
    site.set(start=date(2025, 6, 1))
    await site.log_in(("ann", datetime(2025, 6, 1, tzinfo=UTC)), *TEN_DAYS)
    await site.condense()
    site.set(keep=5)

    await site.condense()

    assert await site.days() == [january(day) for day in range(15, 21)]
    assert {row[0] for row in await site.rows()} == {january(day) for day in range(15, 21)}


@pytest.mark.parametrize(
    "text", ["", "10", "monday", "01/02/2019", "2019", "20260131", "2026-02-30", "2026-01-31T00:00", "\0"]
)
def test_a_day_of_an_argument_is_not_guessed(site: Site, text: str) -> None:
    for name in ("start", "end"):
        with pytest.raises(BadParameter, match=f"{name}: a day is written as 2026-01-31, not"):
            read_arguments(site.job, {name: text})
