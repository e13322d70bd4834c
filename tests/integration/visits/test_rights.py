"""What rights on its tables a server with visits needs, and that they are enough."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from promise_pub import db
from promise_pub.delivery.store import ledger
from promise_pub.errors import RightsMissing
from promise_pub.features.journal import store as journal
from promise_pub.features.stats import registry as stats
from promise_pub.features.usage import store as usage
from promise_pub.features.visits import store as visits
from promise_pub.features.visits.settings import VisitsSettings
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.roles import role_with
from tests.web_parts import serving, settings

PAGE = {"Accept": "text/html"}
OTHERS = (*ledger.NEEDS, *journal.NEEDS, *stats.NEEDS, *usage.NEEDS)


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=2) as pool:
        yield pool


async def test_without_users_and_visits_their_tables_may_stay_closed(
    pool: asyncpg.Pool,
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    unused_tcp_port: int,
) -> None:
    options = settings(rabbit, database, unused_tcp_port, tmp_path)
    async with role_with(pool, database, (*OTHERS, *visits.NEEDS_TO_SHOW)) as ours:
        noting = replace(options, database=ours)
        with pytest.raises(RightsMissing, match="GRANT DELETE, INSERT ON visit_hits"):
            async with serving(noting):
                pass
        async with serving(replace(noting, features={"visits": VisitsSettings(enabled=False)})) as server:
            assert (await server.get("/visits")).status == 200


async def test_with_the_rights_that_are_asked_for_hits_are_written(
    pool: asyncpg.Pool,
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    unused_tcp_port: int,
) -> None:
    options = settings(rabbit, database, unused_tcp_port, tmp_path)
    async with role_with(pool, database, (*OTHERS, *visits.NEEDS)) as ours:
        async with serving(replace(options, database=ours)) as server:
            assert (await server.get("/runs", headers=PAGE)).status == 200
    assert await pool.fetchval("SELECT count(*) FROM visit_hits") > 0
