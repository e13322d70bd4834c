"""Fixtures of the tests of the journal on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from promise_pub import db
from promise_pub.features.journal.store import StoredJournal
from promise_pub.settings.model import DatabaseSettings


@pytest.fixture
async def journal(database: DatabaseSettings) -> AsyncIterator[StoredJournal]:
    async with db.open_pool(database, max_size=1) as pool:
        yield StoredJournal(pool)
