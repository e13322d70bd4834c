"""Windows that are too old are deleted, and do not come back with a part of their count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats import registry
from promise_pub.features.stats.settings import StatsSettings
from tests.journal.new_events import all_events, an_event
from tests.stats.keeping import (
    Topics,
    cells_of,
    count_topics,
    counting,
    eventually,
    version_of,
    wait_until_counted,
)

NOW = datetime.now(UTC)
SETTINGS = StatsSettings(keep_minutes=2, keep_hours=10, keep_days=0)


async def test_old_windows_go_by_their_width_and_a_late_event_counts_only_in_what_is_kept(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PIECE", 3)
    for days in (0, 1, 3, 5, 9, 30):
        await journal.append([an_event(topic=f"t{n}", at=NOW - timedelta(days=days)) for n in range(5)])
    async with counting(pool, Topics):
        await wait_until_counted(pool, {"topics"})
    events = await all_events(journal)
    assert await cells_of(pool, "topics") == count_topics(events)

    def kept() -> object:
        minutes = [event for event in events if event.at > NOW - timedelta(days=2)]
        hours = [event for event in events if event.at > NOW - timedelta(days=10)]
        return count_topics(minutes, [60]) + count_topics(hours, [3600]) + count_topics(events, [86_400, 0])

    async def is_swept() -> bool:
        return await cells_of(pool, "topics") == kept()

    async with counting(pool, Topics, settings=SETTINGS):
        await eventually(is_swept)
        await journal.append([an_event(topic="late", at=NOW - timedelta(days=days)) for days in (1, 3, 30)])
        await wait_until_counted(pool, {"topics"})
    events = await all_events(journal)
    assert await cells_of(pool, "topics") == kept()
    # A new version does not bring them back either.
    async with counting(pool, version_of(Topics, 2), settings=SETTINGS):
        await wait_until_counted(pool, {"topics"})
    assert await cells_of(pool, "topics") == kept()
