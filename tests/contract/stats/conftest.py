"""A journal and statistics on a database of their own, and a keeper of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from promise_pub import db
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats import keeper
from promise_pub.features.stats import store as counts
from promise_pub.features.stats.store import StatsStore
from promise_pub.settings.model import DatabaseSettings


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=6) as pool:
        yield pool


@pytest.fixture
def journal(pool: asyncpg.Pool) -> StoredJournal:
    return StoredJournal(pool)


@pytest.fixture
def store(pool: asyncpg.Pool) -> StatsStore:
    return StatsStore(pool)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done each second, or each minute, is done at once."""
    monkeypatch.setattr(keeper, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(keeper, "REFRESH_EVERY", 0.3)
    monkeypatch.setattr(keeper, "SWEEP_EVERY", 0.3)
    monkeypatch.setattr(counts, "TURN_EVERY", 0.05)
