"""Names that are forgotten: their numbers stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

from promise_pub.features.usage.records import Action, Usage
from tests.usage.running import RunningStep, RunningWork
from tests.usage.site import Site, noon
from tests.web_parts import until

LOGINS = [(actor, noon(day)) for day in range(15, 21) for actor in ("ann", "bob")]


async def counted(site: Site) -> Usage:
    return await site.count(date(2026, 1, 10), date(2026, 1, 22))


async def names(site: Site) -> set[str]:
    return {row[2] for row in await site.rows()}


async def test_another_name_stands_for_it_on_every_day(site: Site) -> None:
    await site.log_in(*LOGINS)
    await site.log_in(("ann", noon(15)), topic="run.queued")
    await site.condense()
    before = await counted(site)

    assert await site.usage.forget("ann") == 6

    assert "ann" not in await names(site)
    assert len(await names(site)) == 2
    assert await counted(site) == before
    assert len(await site.usage.day(date(2026, 1, 15), Action.RUN)) == 1


async def test_days_that_are_condensed_anew_have_the_same_people(site: Site) -> None:
    await site.log_in(*LOGINS)
    await site.condense()
    await site.usage.forget("ann")
    before = await site.rows()

    await site.condense(reset="yes")

    assert await site.rows() == before


async def test_somebody_who_comes_again_is_the_same_person(site: Site) -> None:
    await site.log_in(("ann", noon(15)))
    await site.condense()
    await site.usage.forget("ann")
    await site.log_in(("ann", noon(20, 10)))

    await site.condense()

    assert "ann" not in await names(site)
    assert (await counted(site)).users == 1


async def test_a_name_that_was_never_seen_is_on_no_day_and_is_not_kept_once_it_comes(site: Site) -> None:
    assert await site.usage.forget("ann") == 0
    await site.log_in(("ann", noon(20, 10)))

    await site.condense()

    assert len(await names(site) - {"ann"}) == 1


async def test_a_name_that_is_forgotten_twice_is_found_once(site: Site) -> None:
    await site.log_in(*LOGINS)
    await site.condense()

    assert [await site.usage.forget("ann") for _ in range(2)] == [6, 0]
    assert (await counted(site)).users == 2


async def test_the_name_that_stands_for_another_stays_its_only_one(site: Site) -> None:
    await site.log_in(*LOGINS)
    await site.condense()
    await site.usage.forget("ann")
    before = await site.rows()
    (stand_in,) = await names(site) - {"bob"}

    assert await site.usage.forget(stand_in) == 0

    assert await site.rows() == before


async def test_a_name_that_is_excluded_stays_so_when_it_is_forgotten(site: Site) -> None:
    await site.log_in(*LOGINS)
    await site.condense()
    site.set(exclude=("ann",))
    before = await counted(site)

    await site.usage.forget("ann")

    assert before.users == 1
    assert await counted(site) == before


async def test_a_name_of_any_characters_can_be_forgotten(site: Site) -> None:
    await site.log_in(("añn\x00 \\x00", noon(20, 10)))
    await site.condense()

    assert await site.usage.forget("añn\x00 \\x00") == 1


async def test_a_day_that_is_being_condensed_is_waited_for(site: Site) -> None:
    await site.log_in(("ann", noon(20, 10)))
    work = _HeldWork(site.pool, "usage", {}, site.now)
    running = asyncio.create_task(site.job.run(work))
    await work.has_written.wait()

    forgetting = asyncio.create_task(site.usage.forget("ann"))
    await _wait_until_something_waits(site)
    work.may_commit.set()

    await running
    assert await forgetting == 1
    assert "ann" not in await names(site)


class _HeldWork(RunningWork):
    """A run whose first step is held before its commit."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.has_written, self.may_commit = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def step(self) -> AsyncIterator[RunningStep]:
        async with super().step() as step:
            yield step
            self.has_written.set()
            await self.may_commit.wait()


async def _wait_until_something_waits(site: Site) -> None:
    await until(lambda: site.pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))
