"""What a run tells when the consumer, the broker or the database fails it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promise_pub.delivery.run.backoffs import BACKOFFS
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.consumer_parts import line_to
from tests.services import BackgroundLoop, execute
from tests.web_parts import ServerUnderTest, people, serving, settings, until

NO_DIGEST = "checked by counts only: this consumer reports no digest"
JSON = {"Accept": "application/json"}
ASYNC = JSON | {"Prefer": "respond-async", "Content-Type": "text/csv"}
FieldServer = Callable[..., Awaitable[ServerUnderTest]]


IMPATIENT = replace(BACKOFFS, consumer=replace(BACKOFFS.consumer, within=0.5))


@pytest.fixture
async def field_server(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> AsyncIterator[FieldServer]:
    """A server whose consumer is the field double with these switches."""
    async with AsyncExitStack() as stack:

        async def start(*switches: str) -> ServerUnderTest:
            consumer = await stack.enter_async_context(consumer_parts.field(rabbit, database, *switches))
            hangs = "hang" in switches or "--stall-after" in switches
            chosen = settings(rabbit, database, consumer, tmp_path, impatient=hangs)
            return await stack.enter_async_context(serving(chosen, IMPATIENT))

        yield start


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_a_field_consumer_gets_every_row_and_its_repeats_are_explained(
    field_server: FieldServer, mode: str
) -> None:
    server = await field_server()
    run = (await server.send(people(500, repeats=20), f"?mode={mode}&timeout=1")).json
    assert run["verdict"] == "kept" and run["rows"]["confirmed"] == 500
    assert run["session"] == {"uuid": run["session"]["uuid"], "received": 500, "saved": 480}
    assert run["explanation"] == [NO_DIGEST, "20 rows repeat a mail that was saved before"]
    again = (await server.send(people(30), f"?mode={mode}&timeout=0" if mode == "batch" else "?timeout=1")).json
    assert again["verdict"] == "kept" and again["session"]["saved"] == 0
    assert again["explanation"] == [NO_DIGEST, "30 rows: employees held the mail before the run"]


@pytest.mark.parametrize(
    ("switches", "verdict", "reason"),
    [
        (("--lose", "3"), "broken", "did not save them, for no known reason"),
        (("--untold",), "unknown", "does not report how many rows it received"),
        (
            ("--lie-saved",),
            "kept",
            None,
        ),  # nothing contradicts it: every row is new, and in the table
        (("--remove", "missing"), "unknown", "it is only proven that 100 rows were confirmed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
async def test_the_verdict_is_never_kept_on_a_guess(
    field_server: FieldServer, switches: tuple[str, ...], verdict: str, reason: str | None
) -> None:
    server = await field_server(*switches)
    reply = await server.send(people(100), "?mode=batch&timeout=0")
    assert (reply.status, reply.json["state"], reply.json["verdict"]) == (200, "completed", verdict)
    assert reason is None or reason in " ".join(reply.json["explanation"])


async def test_a_consumer_that_says_more_than_the_database_is_not_believed(
    field_server: FieldServer,
) -> None:
    server = await field_server("--lie-saved")
    run = (await server.send(people(100, repeats=7), "?mode=batch&timeout=0")).json
    assert (run["session"]["saved"], run["db_count"], run["verdict"]) == (100, 93, "unknown")
    assert "employees grew by 93" in " ".join(run["explanation"])


@pytest.mark.parametrize(
    ("call", "way", "code"),
    [
        ("create", "hang", "consumer_timeout"),
        ("create", "500", "consumer_refused"),
        ("create", "garbage", "consumer_complaint"),
        ("create", "error", "consumer_complaint"),
        ("create", "missing", "consumer_garbage"),
        ("create", "die", "consumer_unreachable"),
        ("process", "hang", "consumer_stalled"),
        ("process", "500", "consumer_refused"),
        ("process", "garbage", "consumer_complaint"),
        ("process", "error", "consumer_complaint"),
        ("process", "missing", "consumer_complaint"),
        ("process", "die", "consumer_unreachable"),
        ("remove", "hang", "consumer_stalled"),
        ("remove", "500", "consumer_refused"),
        ("remove", "garbage", "consumer_complaint"),
        ("remove", "error", "consumer_complaint"),
        ("remove", "die", "consumer_unreachable"),
        ("getsession", "die", "consumer_unreachable"),
    ],
)
async def test_a_consumer_that_fails_a_call_fails_the_run_with_its_own_code(
    field_server: FieldServer, call: str, way: str, code: str
) -> None:
    server = await field_server(f"--{call}", way)
    idle = 2 if call == "getsession" else 0  # long enough for a look at the session
    reply = await server.send(people(50), f"?mode=batch&timeout={idle}")
    assert (reply.status, reply.json["code"]) == (502, code)
    run = reply.json["run"]
    assert (run["state"], run["verdict"], run["error"]["code"]) == ("failed", None, code)
    assert run["rows"]["confirmed"] == (0 if call == "create" else 50)
    recorded = await server.get(f"/runs/{run['id']}", headers=JSON)
    assert (recorded.status, recorded.json["error"]) == (200, run["error"])
    assert code in (await server.get(f"/runs/{run['id']}")).text
    if way != "die" and call == "remove":
        assert run["session"]["uuid"] in run["error"]["message"], "the session left behind is named"


@pytest.mark.parametrize("way", ["500", "error", "garbage"])
async def test_a_failed_live_run_tells_what_the_consumer_had_saved_by_then(field_server: FieldServer, way: str) -> None:
    server = await field_server("--remove", way)
    reply = await server.send(people(50), "?mode=live&timeout=1")
    assert reply.status == 502
    assert reply.json["run"]["session"]["received"] > 0


async def test_a_live_run_shows_what_is_received_while_rows_still_go_out(
    field_server: FieldServer,
) -> None:
    server = await field_server()
    path = await started(server, people(600), "?mode=live&rate=150&timeout=5")
    run = await run_when(server, path, lambda run: (run["session"] or {}).get("received"))
    assert run["state"] == "publishing" and run["session"]["saved"] > 0
    run = await run_when(server, path, lambda run: run["finished_at"])
    assert run["verdict"] == "kept"


@pytest.mark.parametrize("way", ["hang", "500", "garbage", "error", "missing"])
async def test_a_session_that_cannot_be_looked_at_does_not_fail_the_run(field_server: FieldServer, way: str) -> None:
    server = await field_server("--getsession", way)
    run = (await server.send(people(50), "?mode=batch&timeout=2")).json
    assert (run["state"], run["verdict"]) == ("completed", "kept")


async def test_a_consumer_that_stops_reading_is_stalled_with_the_last_counts_known(
    field_server: FieldServer,
) -> None:
    server = await field_server("--stall-after", "40")
    reply = await server.send(people(100), "?mode=batch&timeout=1")
    assert (reply.status, reply.json["code"]) == (502, "consumer_stalled")
    assert reply.json["run"]["session"]["received"] == 40
    assert "40 received" in reply.json["detail"]


async def test_a_consumer_that_is_away_leaves_no_session_and_the_next_run_has_its_turn(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with serving(settings(rabbit, database, unused_tcp_port, tmp_path), IMPATIENT) as server:
        for _ in range(2):
            reply = await server.send(people(5))
            assert (reply.status, reply.json["code"]) == (502, "consumer_unreachable")
            assert reply.json["run"]["session"] is None
        assert len((await server.get("/runs", headers=JSON)).json) == 2


async def test_a_broker_that_is_away_opens_no_session(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        away = replace(rabbit, port=unused_tcp_port)
        async with serving(settings(away, database, consumer, tmp_path), IMPATIENT) as server:
            reply = await server.send(people(5))
    assert (reply.status, reply.json["code"]) == (502, "broker_unreachable")
    assert reply.json["run"]["session"] is None and str(unused_tcp_port) in reply.json["detail"]


async def test_a_broker_that_refuses_the_password_says_so_and_never_shows_it(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    wrong = replace(rabbit, password="s3cret-s3cret")
    async with serving(settings(wrong, database, 1, tmp_path), IMPATIENT) as server:
        reply = await server.send(people(5))
    assert (reply.status, reply.json["code"]) == (502, "broker_refused")
    assert "s3cret" not in reply.text


async def started(server: ServerUnderTest, content: bytes, query: str) -> str:
    """A run that goes on, some of its rows confirmed; its address."""
    reply = await server.ask("POST", f"/simulate/{query}", data=content, headers=ASYNC)
    path = str(reply.headers["Location"])
    await run_when(server, path, lambda run: run["rows"]["confirmed"] >= 20)
    return path


async def run_when(server: ServerUnderTest, path: str, true: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The run once something is true of it."""

    async def look() -> Any:
        run = (await server.get(path, headers=JSON)).json
        return true(run) and run

    return dict(await until(look))


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_a_broker_that_stays_away_fails_the_run_with_the_exact_count(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    mode: str,
) -> None:
    impatient = replace(IMPATIENT, broker=replace(BACKOFFS.broker, within=0.5))
    async with (
        line_to(rabbit) as (line, through_it),
        consumer_parts.bundled(rabbit, database) as consumer,
    ):
        async with serving(settings(through_it, database, consumer, tmp_path), impatient) as server:
            path = await started(server, people(5000), f"?mode={mode}&rate=200&timeout=5")
            await line.cut()
            run = await run_when(server, path, lambda run: run["finished_at"])
    assert (run["state"], run["error"]["code"], run["verdict"]) == ("failed", "broker_lost", None)
    assert 20 <= run["rows"]["confirmed"] < 5000
    assert f"{run['rows']['confirmed']:,} of" in run["error"]["message"]


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_a_queue_deleted_in_mid_run_is_seen_row_by_row(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, mode: str
) -> None:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        async with serving(settings(rabbit, database, consumer, tmp_path), IMPATIENT) as server:
            path = await started(server, people(300), f"?mode={mode}&rate=200&timeout=1")
            queue = (await server.get(path, headers=JSON)).json["session"]["uuid"]
            await consumer_parts.delete_queue(rabbit, queue)
            run = await run_when(server, path, lambda run: run["finished_at"])
    rows = run["rows"]
    assert rows["returned"] > 0 and rows["confirmed"] + rows["returned"] == 300
    first, _, last = run["returned_rows"].partition("-")
    assert (int(first), int(last)) == (rows["confirmed"] + 1, 300)
    if mode == "live":
        assert (run["state"], run["verdict"]) == ("completed", "broken")
        assert "came back from the broker" in " ".join(run["explanation"])
    else:  # the consumer has nothing to start reading from, and says so
        assert (run["state"], run["error"]["code"]) == ("failed", "consumer_complaint")


async def test_a_database_that_goes_away_is_503_and_the_form_still_shows(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    services_loop: BackgroundLoop,
    database_server: DatabaseSettings,
) -> None:
    async with serving(settings(rabbit, database, 1, tmp_path), IMPATIENT) as server:
        drop = execute(database_server, f"DROP DATABASE {database.dbname} WITH (FORCE)")
        await asyncio.to_thread(services_loop.run, drop)
        reply = await server.send(people(5))
        assert reply.status == 503 and reply.json["code"].startswith("database_")
        passes = reply.json["code"] == "database_unavailable"  # and what is dropped stays so
        assert ("Retry-After" in reply.headers) is passes
        assert server.stored() == []
        index = await server.get("/")
        assert index.status == 200 and "<form" in index.text and "database" in index.text
        assert (await server.get("/runs")).status == 503
        assert (await server.get("/readyz")).json["database"]["ready"] is False
