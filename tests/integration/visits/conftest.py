"""Fixtures of the tests of commands about visits."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from promise_pub import db
from promise_pub.features.visits.store import StoredVisits
from promise_pub.settings.model import DatabaseSettings
from tests.visits.walks import IDLE


@pytest.fixture
async def visits(database: DatabaseSettings) -> AsyncIterator[StoredVisits]:
    async with db.open_pool(database, max_size=1) as pool:
        yield StoredVisits(pool, IDLE)
