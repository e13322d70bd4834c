"""Fixtures of the tests of the journal's faces: the application among fakes, with a journal in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.features.journal.feature import with_services
from tests.journal.fake_reader import FakeReader
from tests.web_house import JSON, Client, House

PAGE = {"Accept": "text/html"}


class Seen:
    """A journal, and a client of the application that shows it."""

    def __init__(self, journal: FakeReader, client: Client) -> None:
        self.journal = journal
        self.client = client

    async def get(self, path: str, **headers: str) -> Any:
        answer = await self.client.get(path, headers={**PAGE, **headers}, allow_redirects=False)
        await answer.read()
        return answer

    async def text(self, path: str) -> str:
        answer = await self.get(path)
        assert answer.status == 200, path
        return str(await answer.text())

    async def json(self, path: str) -> Any:
        answer = await self.get(path, **JSON)
        assert answer.status == 200, await answer.text()
        return await answer.json()

    async def post(self, body: Any, path: str = "/journal", **headers: str) -> Any:
        how = {"data": body} if isinstance(body, bytes) else {"json": body}
        answer = await self.client.post(path, headers={**JSON, **headers}, **how)
        await answer.read()
        return answer


@pytest.fixture
def journal() -> FakeReader:
    return FakeReader()


@pytest.fixture
async def seen(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]], journal: FakeReader
) -> AsyncIterator[Seen]:
    house = House(tmp_path)
    async with house.runs:
        yield Seen(journal, await aiohttp_client(house.app(with_services(journal, journal))))
