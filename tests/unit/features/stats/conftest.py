"""Fixtures of the tests of the faces of statistics: the application among fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.stats.fake_statistics import FakeJournal, FakeStatistics, with_services
from tests.web_house import JSON, Client, House

PAGE = {"Accept": "text/html"}


class Seen:
    """Statistics, and a client of the application that shows them."""

    def __init__(self, statistics: FakeStatistics, journal: FakeJournal, client: Client) -> None:
        self.statistics = statistics
        self.journal = journal
        self.client = client

    async def get(self, path: str, **headers: str) -> Any:
        answer = await self.client.get(path, headers={**PAGE, **headers}, allow_redirects=False)
        await answer.read()
        return answer

    async def text(self, path: str) -> str:
        answer = await self.get(path)
        assert answer.status == 200, await answer.text()
        return str(await answer.text())

    async def json(self, path: str) -> Any:
        answer = await self.get(path, **JSON)
        assert answer.status == 200, await answer.text()
        return await answer.json()


@pytest.fixture
def statistics() -> FakeStatistics:
    return FakeStatistics()


@pytest.fixture
def journal() -> FakeJournal:
    return FakeJournal(newest=100)


@pytest.fixture
async def seen(
    tmp_path: Path,
    aiohttp_client: Callable[[web.Application], Awaitable[Client]],
    statistics: FakeStatistics,
    journal: FakeJournal,
) -> AsyncIterator[Seen]:
    house = House(tmp_path)
    async with house.runs:
        client = await aiohttp_client(house.app(with_services(statistics, journal)))
        yield Seen(statistics, journal, client)
