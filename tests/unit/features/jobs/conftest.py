"""Fixtures of the tests of the faces of jobs: the application among fakes, with jobs in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.features.jobs.feature import feature_of, with_services
from promise_pub.http.features import OpenFeature
from tests.jobs.fake_desk import USAGE, FakeDesk, a_job
from tests.web_house import JSON, Client, House

PAGE = {"Accept": "text/html"}


class Seen:
    """Jobs, and a client of the application that shows them."""

    def __init__(self, desk: FakeDesk, client: Client) -> None:
        self.desk = desk
        self.client = client

    async def ask(self, method: str, path: str, **how: Any) -> Any:
        """A redirection is an answer."""
        answer = await self.client.request(method, path, allow_redirects=False, **{"headers": PAGE} | how)
        await answer.read()
        return answer

    async def text(self, path: str) -> str:
        answer = await self.ask("GET", path)
        assert answer.status == 200, path
        return str(await answer.text())

    async def json(self, path: str) -> Any:
        answer = await self.ask("GET", path, headers=JSON)
        assert answer.status == 200, await answer.text()
        return await answer.json()

    async def post(self, path: str, **how: Any) -> Any:
        return await self.ask("POST", path, **{"headers": JSON} | how)


def opened(desk: FakeDesk) -> OpenFeature:
    return with_services(desk, [USAGE], feature_of(lambda *_: [USAGE]))


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk(a_job())


@pytest.fixture
async def seen(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]], desk: FakeDesk
) -> AsyncIterator[Seen]:
    house = House(tmp_path)
    async with house.runs:
        yield Seen(desk, await aiohttp_client(house.app(opened(desk))))
