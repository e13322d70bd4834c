"""Servers and consumers whose roles may do what they need, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from promise_pub import db
from promise_pub.accounts import store as accounts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.consumer import saver
from promise_pub.delivery.store import ledger
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.fake_accounts import QUICK
from tests.roles import FEATURE_NEEDS, role_with
from tests.web_parts import ServerUnderTest, people, serving, settings

SERVER = (*ledger.NEEDS, *FEATURE_NEEDS)
JSON = {"Accept": "application/json"}


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=2) as pool:
        yield pool


@pytest.fixture
async def server(
    pool: asyncpg.Pool, rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> AsyncIterator[ServerUnderTest]:
    """Its role may not empty employees. Its consumer has a role of its own."""
    async with (
        role_with(pool, database, SERVER) as ours,
        role_with(pool, database, saver.NEEDS) as theirs,
        consumer_parts.bundled(rabbit, theirs) as consumer,
        serving(settings(rabbit, ours, consumer, tmp_path)) as running,
    ):
        yield running


async def let(pool: asyncpg.Pool, right: str) -> None:
    """Gives every role that right on employees."""
    await pool.execute(f"GRANT {right} ON employees TO PUBLIC")


async def test_what_is_asked_for_at_the_start_is_enough_for_all_of_a_run(
    server: ServerUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    run = (await server.send(people(40, repeats=4) + b"no mail\n", "?timeout=1")).json
    assert (run["verdict"], run["session"]["saved"], run["rows"]["rejected"]) == ("kept", 36, 1)
    assert (await server.get(f"/runs/{run['id']}/rejects", headers=JSON)).json[0]["line"] == 41
    assert (await server.get("/runs")).status == 200
    assert "permission" not in caplog.text


async def test_a_run_that_may_not_clear_is_refused_before_a_row_is_sent(
    server: ServerUnderTest, pool: asyncpg.Pool
) -> None:
    await server.send(people(3), "?timeout=1")
    refused = await server.send(people(5), "?clear=true&timeout=1")
    assert (refused.status, refused.json["code"]) == (409, "not_clearable")
    assert "Grant it TRUNCATE or DELETE on the table" in refused.json["detail"]
    assert len((await server.get("/runs", headers=JSON)).json) == 1
    assert await pool.fetchval("SELECT count(*) FROM employees") == 3


@pytest.mark.parametrize("right", ["TRUNCATE", "DELETE"])
async def test_either_right_is_enough_to_clear(server: ServerUnderTest, pool: asyncpg.Pool, right: str) -> None:
    await server.send(people(3), "?timeout=1")
    await let(pool, right)
    run = (await server.send(people(5), "?clear=true&timeout=1")).json
    assert (run["verdict"], run["session"]["saved"], run["db_count"]) == ("kept", 5, 5)


async def test_a_table_that_rows_of_another_refer_to_is_not_cleared_and_no_row_is_sent(
    server: ServerUnderTest, pool: asyncpg.Pool
) -> None:
    await let(pool, "TRUNCATE, DELETE")
    await pool.execute("CREATE TABLE heads (employee BIGINT REFERENCES employees (id))")
    run = (await server.send(people(2), "?clear=true&timeout=1")).json
    assert run["verdict"] == "kept"  # nothing refers to it yet
    await pool.execute("INSERT INTO heads SELECT max(id) FROM employees")
    refused = await server.send(people(5), "?clear=true&timeout=1")
    assert (refused.status, refused.json["code"]) == (409, "not_clearable")
    assert "rows of heads refer to its rows" in refused.json["detail"]
    failed = (await server.get("/runs", headers=JSON)).json[0]
    assert (failed["state"], failed["rows"]["published"]) == ("failed", 0)
    assert failed["session"] is None
    assert await pool.fetchval("SELECT count(*) FROM employees") == 2


async def test_what_is_asked_for_at_the_start_is_enough_for_logins(
    pool: asyncpg.Pool,
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    unused_tcp_port: int,
) -> None:
    kept = accounts.StoredAccounts(pool)
    await kept.add_user("ann", Role.OPERATOR, await Passwords(QUICK).hash("correct horse"))
    token = (await kept.add_token("ci", Role.VIEWER, 1))[0]
    options = settings(rabbit, database, unused_tcp_port, tmp_path, auth="users", host="0.0.0.0")
    async with role_with(pool, database, (*SERVER, *accounts.NEEDS)) as ours:
        async with serving(replace(options, database=ours)) as server:
            form = {"name": "ann", "password": "correct horse", "next": "/runs"}
            reply = await server.ask("POST", "/login", data=form, allow_redirects=False)
            assert reply.status == 303
            cookie = {"Cookie": reply.headers["Set-Cookie"].partition(";")[0]}
            assert (await server.get("/runs", headers=cookie)).status == 200
            out = await server.ask("POST", "/logout", headers=cookie, allow_redirects=False)
            assert out.status == 303
            bearer = {"Authorization": f"Bearer {token}", **JSON}
            assert (await server.get("/runs", headers=bearer)).status == 200
