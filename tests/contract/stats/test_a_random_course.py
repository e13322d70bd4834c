"""Appends, kills, new versions and rebuilds in random order: at the end everything is counted once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from random import Random

import asyncpg
import pytest

from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats import counting as counting_module
from promise_pub.features.stats.store import StatsStore
from tests.journal.new_events import END_OTHERS, all_events, an_event
from tests.stats.keeping import (
    Topics,
    Volume,
    cells_of,
    count_topics,
    count_volume,
    counting,
    eventually,
    version_of,
    wait_until_counted,
)


@pytest.mark.parametrize("seed", range(4))
async def test_a_random_course(
    pool: asyncpg.Pool, journal: StoredJournal, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, version = Random(seed), 1
    monkeypatch.setattr(counting_module, "CHUNK", random.choice([7, 50, 2000]))
    monkeypatch.setattr(counting_module, "MAX_EVENTS", random.choice([20, 200]))
    now = datetime.now(UTC)
    async with AsyncExitStack() as keepers:
        for _ in range(25):
            match random.choice(["append", "append", "append", "end", "start", "kill", "raise", "rebuild"]):
                case "append":
                    late = [timedelta(seconds=random.choice([-200, 0, 60, 5_000, 400_000])) for _ in range(200)]
                    topics = random.choices(["a", "b.c", "d"], k=200)
                    await journal.append([an_event(topic=t, at=now - at) for t, at in zip(topics, late, strict=True)])
                case "kill":
                    await pool.execute(END_OTHERS)
                case "end":
                    await keepers.aclose()
                case "start":
                    await keepers.enter_async_context(counting(pool, version_of(Topics, version), Volume))
                case "raise":
                    version += 1
                    await keepers.aclose()
                    await keepers.enter_async_context(counting(pool, version_of(Topics, version), Volume))
                case "rebuild":
                    await StatsStore(pool).rebuild("volume")
            await asyncio.sleep(random.random() / 20)

    async def is_replaced() -> bool:
        found = await StatsStore(pool).list()
        return [(one.layout.version, one.shown) for one in found] == [(version, True), (1, True)]

    async with counting(pool, version_of(Topics, version), Volume):
        await eventually(is_replaced)
        await wait_until_counted(pool, {"topics", "volume"})
    events = await all_events(journal)
    assert await cells_of(pool, "topics") == count_topics(events)
    assert await cells_of(pool, "volume") == count_volume(events)
