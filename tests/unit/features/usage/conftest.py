"""Fixtures of the tests of the faces of usage: the application among fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.usage.fake_usage import FakeUsage, with_services
from tests.web_house import JSON, Client, House

PAGE = {"Accept": "text/html"}


class Seen:
    """Usage, and a client of the application that shows it."""

    def __init__(self, usage: FakeUsage, client: Client) -> None:
        self.usage = usage
        self.client = client

    async def ask(self, method: str, path: str, headers: Any = None, **more: Any) -> Any:
        answer = await self.client.request(method, path, headers=headers or PAGE, allow_redirects=False, **more)
        await answer.read()
        return answer

    async def get(self, path: str, **headers: str) -> Any:
        return await self.ask("GET", path, PAGE | headers)

    async def text(self, path: str, **headers: str) -> str:
        answer = await self.get(path, **headers)
        assert answer.status == 200, await answer.text()
        return str(await answer.text())

    async def json(self, path: str, status: int = 200) -> Any:
        answer = await self.get(path, **JSON)
        assert answer.status == status, await answer.text()
        return await answer.json()


@pytest.fixture
def usage() -> FakeUsage:
    return FakeUsage()


@pytest.fixture
async def seen(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]], usage: FakeUsage
) -> AsyncIterator[Seen]:
    house = House(tmp_path)
    async with house.runs:
        yield Seen(usage, await aiohttp_client(house.app(with_services(usage))))
