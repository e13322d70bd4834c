"""Fixtures of the tests that look at pages: a server over real services, a real Chromium, and an eye on both."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from promise_pub.errors import PartMissing
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.browser_parts import Eye, chromium
from tests.web_parts import ServerUnderTest, serving, settings


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def only_browser() -> AsyncIterator[Browser]:
    """One for all tests: starting it costs more than most of them. Without Chromium no test here, and no success in CI."""
    try:
        async with chromium() as started:
            yield started
    except PartMissing as error:
        if os.environ.get("CI"):
            pytest.fail(error.message)
        pytest.skip(error.message)


@pytest_asyncio.fixture(loop_scope="session")
async def browser(only_browser: Browser) -> AsyncIterator[Browser]:
    """As if it had just been started: cookies, caches and pages go with their contexts, when the test is over."""
    yield only_browser
    for context in only_browser.contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def server(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[ServerUnderTest]:
    """With the bundled consumer."""
    async with (
        consumer_parts.bundled(rabbit, database) as consumer,
        serving(settings(rabbit, database, consumer, tmp_path, max_upload=11_000_000)) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def eye(browser: Browser, server: ServerUnderTest) -> AsyncIterator[Eye]:
    """At the test's end no page may have complained on its console, or asked another host for anything."""
    watching = Eye(browser, server.url)
    yield watching
    assert not watching.complaints
