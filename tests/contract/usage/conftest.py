"""A journal and usage on a database of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from promise_pub import db
from promise_pub.features.journal.store import StoredJournal
from promise_pub.settings.model import DatabaseSettings
from tests.usage.site import Site


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=6) as pool:
        yield pool


@pytest.fixture
def journal(pool: asyncpg.Pool) -> StoredJournal:
    return StoredJournal(pool)


@pytest.fixture
def site(pool: asyncpg.Pool, journal: StoredJournal) -> Site:
    return Site(pool, journal)
