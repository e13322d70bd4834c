"""A stored journal on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from promise_pub import db
from promise_pub.features.journal.store import StoredJournal
from promise_pub.settings.model import DatabaseSettings


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=6) as pool:
        yield pool


@pytest.fixture
def journal(pool: asyncpg.Pool) -> StoredJournal:
    return StoredJournal(pool)
