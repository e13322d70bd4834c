"""Strangers, and others, who ask for pages over and over: the disk grows by no more than the quota, and who is known is recorded."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from promise_pub import db
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.store import StoredAccounts
from promise_pub.features.visits import sweeping
from promise_pub.features.visits.client_quota import UNKNOWN
from promise_pub.features.visits.disk_quota import MAX_UNKNOWN, PARTS
from promise_pub.features.visits.settings import MIN_QUOTA, VisitsSettings
from promise_pub.http.intake import pace
from promise_pub.settings.casts import networks
from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests.fake_accounts import QUICK
from tests.web_parts import ServerUnderTest, serving, settings

PAGE = {"Accept": "text/html"}
SIZE = "SELECT pg_total_relation_size('visit_hits')"


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=2) as pool:
        yield pool


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood takes its time otherwise: what is stored has a bound of its own."""
    monkeypatch.setattr(pace, "RATE", 1e9)


@pytest.fixture
def small(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int) -> Settings:
    """Settings with the least quota, behind a proxy that tells the clients' addresses."""
    options = settings(rabbit, database, unused_tcp_port, tmp_path, trusted_proxies=networks("127.0.0.1"))
    return replace(options, features={"visits": VisitsSettings(quota=MIN_QUOTA)})


def made_up(length: int = 990) -> dict[str, str]:
    """Headers of the longest that are taken."""
    own = {f"X-{number}": secrets.token_hex(length) for number in range(4)}
    return PAGE | own | {"User-Agent": secrets.token_hex(length), "Referer": f"http://x/{secrets.token_hex(length)}"}


async def flood(server: ServerUnderTest, path: str, times: int, *, from_many: bool = False) -> None:
    """Asks for a page so many times, without cookies: from one address, or each time from another."""
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(server.url, cookie_jar=jar) as http:

        async def ask(first: int) -> None:
            for number in range(first, times, 4):
                address = {"X-Forwarded-For": str(IPv4Address(2**24 + number))} if from_many else {}
                async with http.get(f"{path}?x={number}", headers=made_up() | address) as answer:
                    assert answer.status == 200
                    await answer.read()

        await asyncio.gather(*(ask(first) for first in range(4)))


async def an_operator(pool: asyncpg.Pool) -> dict[str, str]:
    """Adds an operator, so that users can log in from now on; returns the headers with the operator's token."""
    accounts = StoredAccounts(pool)
    await accounts.add_user("ann", Role.OPERATOR, await Passwords(QUICK).hash("correct horse"))
    token, _ = await accounts.add_token("ci", Role.OPERATOR, 1)
    return {"Authorization": f"Bearer {token}"}


async def test_a_stranger_who_floods_the_login_fills_no_disk_and_keeps_nobody_from_being_recorded(
    small: Settings, pool: asyncpg.Pool
) -> None:
    guarded = replace(small, server=replace(small.server, auth="users"), features={})
    operator = await an_operator(pool)
    before = await pool.fetchval(SIZE)
    async with serving(guarded) as server:
        flooding = asyncio.create_task(flood(server, "/login", 3_000))
        for _ in range(20):
            assert (await server.get("/docs", headers=PAGE | operator)).status == 200
            await asyncio.sleep(0.1)
        await flooding
        told = (await server.get("/visits", headers={"Accept": "application/json"} | operator)).json["recording"]
        metrics = (await server.get("/metrics", headers=operator)).text
    assert await pool.fetchval("SELECT count(*) FROM visit_hits WHERE known AND page = '/docs'") == 20
    recorded = await pool.fetchval("SELECT count(*) FROM visit_hits WHERE NOT known")
    assert UNKNOWN.burst <= recorded < UNKNOWN.burst + 300, "and one a second"
    assert told["limited"] == 3_000 - recorded and told["lost"] == 0
    assert f'promise_pub_page_hits_total{{fate="limited"}} {told["limited"]:.1f}' in metrics
    assert await pool.fetchval("SELECT count(*) FROM visit_hits WHERE NOT known AND headers <> '[]'") == 0
    assert await pool.fetchval(SIZE) - before < 1024**2


async def test_strangers_from_many_addresses_have_a_part_of_the_quota_and_no_more(
    small: Settings, pool: asyncpg.Pool
) -> None:
    guarded = replace(small, server=replace(small.server, auth="users"))
    operator = await an_operator(pool)
    async with serving(guarded) as server:
        assert (await server.get("/docs", headers=PAGE | operator)).status == 200
        await flood(server, "/login", 4_000, from_many=True)
        assert (await server.get("/docs", headers=PAGE | operator)).status == 200
    assert await pool.fetchval(SIZE) < MIN_QUOTA * (MAX_UNKNOWN + 2) // PARTS
    assert await pool.fetchval("SELECT count(*) FROM visit_hits WHERE known") == 2


async def test_where_nobody_logs_in_a_flood_from_many_addresses_keeps_to_the_quota(
    small: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hit has all that is kept of one; twice of what fits come."""
    monkeypatch.setattr(sweeping, "SWEEP_PAUSE", 0.1)
    async with serving(small) as server:
        flooding = asyncio.create_task(flood(server, "/docs", 3_500, from_many=True))
        largest = 0
        while not flooding.done():
            largest = max(largest, await pool.fetchval(SIZE))
            await asyncio.sleep(0.1)
        await flooding
    assert max(largest, await pool.fetchval(SIZE)) <= MIN_QUOTA * 9 // 8
    assert largest > MIN_QUOTA // 2
    newest = await pool.fetchval("SELECT now() - max(at) < interval '1 minute' FROM visit_hits")
    assert newest, "the oldest went, and newer ones came"
