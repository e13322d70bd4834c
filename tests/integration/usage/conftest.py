"""Fixtures of the tests of usage on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from promise_pub import db
from promise_pub.settings.model import DatabaseSettings


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=2) as pool:
        yield pool
