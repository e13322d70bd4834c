"""Pages are noted whatever becomes of the database: each once, and not one is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.faults.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = 40  # shown in each phase


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(world: World) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser: it keeps its cookie."""
    jar = aiohttp.CookieJar(unsafe=True)  # the server is an address, not a name
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(world.url, cookie_jar=jar, timeout=timeout) as http:
        yield http


async def look(visitor: aiohttp.ClientSession, agent: str) -> None:
    """At pages that need no database."""
    for _ in range(PAGES):
        async with visitor.get("/docs", headers={"User-Agent": agent}) as answer:
            assert answer.status == 200
            await answer.read()


async def noted(world: World, agent: str) -> int:
    rows = await world.database.fetch(
        f"SELECT count(*) AS hits, count(DISTINCT session_id) AS sessions FROM visit_hits WHERE user_agent = '{agent}'"
    )
    assert rows[0]["sessions"] <= 1, "the visitor stayed the same"
    return int(rows[0]["hits"])


async def all_noted(world: World, agent: str, hits: int) -> None:
    async with asyncio.timeout(60):
        while await noted(world, agent) < hits:  # noqa: ASYNC110  it is in another process
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.5)  # what is written twice would be by then
    assert await noted(world, agent) == hits


@pytest.mark.parametrize("how", ["cut", "down", "stalled", "lost"])
async def test_pages_shown_while_the_database_is_away_are_noted_once_it_is_back(
    world: World, visitor: aiohttp.ClientSession, how: str
) -> None:
    line, agent = world.lines["server-database"], f"away-{how}"
    await look(visitor, agent)
    await all_noted(world, agent, PAGES)
    if how == "cut":
        line.cut()
    elif how == "down":
        line.down = True
        line.cut()
    elif how == "stalled":
        line.stall()
    else:
        line.lose()
    await look(visitor, agent)
    await asyncio.sleep(2)  # it is tried, and fails
    await look(visitor, agent)
    if how == "stalled":
        line.cut()
    line.heal()
    await all_noted(world, agent, 3 * PAGES)


async def test_pages_are_noted_over_a_database_that_is_killed(world: World, visitor: aiohttp.ClientSession) -> None:
    agent = "killed"
    await look(visitor, agent)
    looking = asyncio.create_task(look(visitor, agent))
    await world.kill("database")
    await looking
    await look(visitor, agent)
    await world.database.start()
    await all_noted(world, agent, 3 * PAGES)


async def test_a_server_that_is_stopped_writes_what_it_holds(world: World, visitor: aiohttp.ClientSession) -> None:
    agent = "stopped"
    await look(visitor, agent)
    assert await world.server.stop() == 0
    assert await noted(world, agent) == PAGES
    await world.server.start()
    await look(visitor, agent)
    await all_noted(world, agent, 2 * PAGES)
