"""A server that counts nothing, so that the tables have what a test puts there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest_asyncio

from promise_pub import db
from promise_pub.features.stats.settings import StatsSettings
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.web_parts import ServerUnderTest, serving, settings


@pytest_asyncio.fixture(loop_scope="session")
async def server(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[ServerUnderTest]:
    idle = {"stats": StatsSettings(enabled=False)}
    async with serving(replace(settings(rabbit, database, 1, tmp_path), features=idle)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=1) as pool:
        yield pool
