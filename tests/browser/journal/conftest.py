"""A server that tells nothing of itself, so that the journal has what a test puts there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from promise_pub.features.journal.settings import JournalSettings
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.web_parts import ServerUnderTest, serving, settings


@pytest_asyncio.fixture(loop_scope="session")
async def server(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[ServerUnderTest]:
    silent = {"journal": JournalSettings(enabled=False)}
    async with serving(replace(settings(rabbit, database, 1, tmp_path), features=silent)) as running:
        yield running
