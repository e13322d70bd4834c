"""The application among fakes, so that jobs are in every state that a page can show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from tests.browser_parts import Eye
from tests.jobs.fake_desk import FakeDesk, a_job
from tests.unit.features.jobs.conftest import opened
from tests.web_house import House


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk(a_job())


@pytest_asyncio.fixture(loop_scope="session")
async def eye(browser: Browser, desk: FakeDesk, tmp_path: Path) -> AsyncIterator[Eye]:
    house = House(tmp_path)
    async with house.runs, TestServer(house.app(opened(desk))) as server:
        watching = Eye(browser, server.make_url("/"))
        yield watching
        assert not watching.complaints
