"""What a run comes to when the broker or the database refuses: it ends in their words, and the next has its turn."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.consumer_parts import ConsumerUnderTest, database_connection
from tests.services import BrokerUnderTest
from tests.web_parts import ServerUnderTest, people, serving, settings, until

JSON = {"Accept": "application/json"}
ASYNC = JSON | {"Prefer": "respond-async", "Content-Type": "text/csv"}
NOTHING = "^$"

Execute = Callable[[str], Awaitable[Any]]


@pytest.fixture
async def consumer(rabbit: RabbitSettings, database: DatabaseSettings) -> AsyncIterator[ConsumerUnderTest]:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        yield consumer


@pytest.fixture
async def execute(database: DatabaseSettings) -> AsyncIterator[Execute]:
    """Statements of whoever owns the database."""
    async with database_connection(database) as connection:
        yield connection.execute


@pytest.fixture
async def clerk(database: DatabaseSettings, execute: Execute) -> DatabaseSettings:
    """A user of the database who may read and write everything there is, and owns nothing of it."""
    name = f"clerk_{uuid.uuid4().hex[:8]}"
    await execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    for what in ("TABLES", "SEQUENCES"):
        await execute(f"GRANT ALL ON ALL {what} IN SCHEMA public TO {name}")
    return replace(database, user=name, password="pw")


async def begun(server: ServerUnderTest, content: bytes, query: str) -> str:
    """The address of a run that has confirmed rows."""
    reply = await server.ask("POST", f"/simulate/{query}", data=content, headers=ASYNC)
    path = str(reply.headers["Location"])
    await when(server, path, lambda run: run["rows"]["confirmed"] >= 20)
    return path


async def when(server: ServerUnderTest, path: str, true: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The run once something is true of it."""

    async def look() -> Any:
        run = (await server.get(path, headers=JSON)).json
        return true(run) and run

    return dict(await until(look))


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_a_broker_that_refuses_every_row_fails_the_run_in_its_words_and_the_next_has_its_turn(
    broker_node: BrokerUnderTest,
    consumer: ConsumerUnderTest,
    database: DatabaseSettings,
    tmp_path: Path,
    mode: str,
) -> None:
    looker = await broker_node.add_user(write=NOTHING)
    query = f"?mode={mode}&timeout=1"
    async with serving(settings(looker, database, consumer, tmp_path)) as server:
        replies = await asyncio.gather(*(server.send(people(3), query) for _ in range(3)))
        for reply in replies:
            assert (reply.status, reply.json["code"]) == (502, "broker_refused")
            assert "access to exchange 'amq.default'" in reply.json["detail"]
            assert "rabbitmqctl set_permissions" in reply.json["advice"]
            run = reply.json["run"]
            assert run["rows"]["confirmed"] == run["rows"]["resent"] == 0
            assert not run["resends"] and run["resumable"]
            session = await consumer.get("/getSession/", uuid=run["session"]["uuid"])
            assert session.complains(), "it was removed"
        await broker_node.permit(looker, write=".*")
        assert (await server.send(people(3), query)).json["verdict"] == "kept"
        resumed = await server.ask("POST", f"/runs/{run['id']}/resume", headers=JSON)
        assert resumed.status == 202
        run = await when(server, f"/runs/{run['id']}", lambda run: run["finished_at"])
        assert run["state"] == "completed"


async def test_a_user_who_may_have_one_channel_carries_out_a_run(
    broker_node: BrokerUnderTest,
    consumer: ConsumerUnderTest,
    database: DatabaseSettings,
    tmp_path: Path,
) -> None:
    user = await broker_node.add_user()
    await broker_node.limit(user, "max-channels", 1)
    async with serving(settings(user, database, consumer, tmp_path)) as server:
        assert (await server.send(people(30), "?timeout=1")).json["verdict"] == "kept"
        await broker_node.limit(user, "max-channels", 0)
        reply = await server.send(people(30), "?timeout=1")
    assert (reply.status, reply.json["code"]) == (502, "broker_refused")
    assert "number of channels opened" in reply.json["detail"]
    assert reply.json["run"]["session"] is None


async def test_a_limit_that_only_the_run_that_goes_has_used_up_is_no_broker_that_is_away(
    broker_node: BrokerUnderTest,
    consumer: ConsumerUnderTest,
    database: DatabaseSettings,
    tmp_path: Path,
) -> None:
    user = await broker_node.add_user()
    async with serving(settings(user, database, consumer, tmp_path)) as server:
        path = await begun(server, people(3000), "?mode=live&rate=100&timeout=5")
        await broker_node.limit(user, "max-connections", 1)
        ready = await server.get("/readyz")
        assert (ready.status, ready.json["ready"]) == (200, True), ready.text
        await server.ask("POST", f"{path}/cancel", headers=JSON)
        await when(server, path, lambda run: run["finished_at"])
        await broker_node.limit(user, "max-connections", 0)
        ready = await server.get("/readyz")
        assert ready.status == 503 and "connection limit" in ready.json["broker"]["error"]


@pytest.mark.parametrize(
    ("taken", "given", "code", "words"),
    [
        (
            "REVOKE UPDATE ON runs FROM {}",
            "GRANT UPDATE ON runs TO {}",
            "database_refused",
            "permission denied for table runs",
        ),
        (
            "ALTER TABLE runs RENAME TO runs_away",
            "ALTER TABLE runs_away RENAME TO runs",
            "schema_missing",
            "schema --apply",
        ),
        (
            "ALTER TABLE runs RENAME published TO published_away",
            "ALTER TABLE runs RENAME published_away TO published",
            "schema_missing",
            'column "published" of relation "runs" does not exist',
        ),
    ],
    ids=["a right", "a table", "a column"],
)
async def test_a_ledger_that_refuses_ends_the_run_in_its_words_and_hears_of_it_later(
    rabbit: RabbitSettings,
    consumer: ConsumerUnderTest,
    clerk: DatabaseSettings,
    execute: Execute,
    tmp_path: Path,
    taken: str,
    given: str,
    code: str,
    words: str,
) -> None:
    async with serving(settings(rabbit, clerk, consumer, tmp_path)) as server:
        path = await begun(server, people(20_000), "?mode=batch&rate=200&timeout=1")
        await execute(taken.format(clerk.user))
        run = await when(server, path, lambda run: run["finished_at"])
        assert (run["state"], run["error"]["code"]) == ("failed", code)
        assert words in run["error"]["message"]
        assert "minute" not in run["error"]["message"] and run["rows"]["confirmed"] < 12_000
        await execute(given.format(clerk.user))
        async with asyncio.timeout(90):
            while (await server.send(people(3), "?timeout=1")).status != 200:
                """asyncpg notices with its next statement that a table has changed."""
        recorded = await when(server, path, lambda run: run["finished_at"])
        assert recorded["error"] == run["error"]


async def test_a_consumer_that_may_not_save_says_so_at_once(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    clerk: DatabaseSettings,
    execute: Execute,
    tmp_path: Path,
) -> None:
    async with (
        consumer_parts.bundled(rabbit, clerk) as consumer,
        serving(settings(rabbit, database, consumer, tmp_path)) as server,
    ):
        await execute(f"REVOKE INSERT ON employees FROM {clerk.user}")
        reply = await server.send(people(30), "?mode=batch&timeout=1")
        assert (reply.status, reply.json["code"]) == (502, "consumer_complaint")
        assert "permission denied for table employees" in reply.json["detail"]
        await execute(f"GRANT INSERT ON employees TO {clerk.user}")
        assert (await server.send(people(30), "?mode=batch&timeout=1")).json["verdict"] == "kept"
