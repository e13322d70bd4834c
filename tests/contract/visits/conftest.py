"""Stored visits on a database of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from promise_pub import db
from promise_pub.features.visits.store import StoredVisits
from promise_pub.settings.model import DatabaseSettings
from tests.visits.walks import IDLE


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=3) as pool:
        yield pool


@pytest.fixture
def visits(pool: asyncpg.Pool) -> StoredVisits:
    return StoredVisits(pool, IDLE)
