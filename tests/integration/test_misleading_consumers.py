"""Consumers whose answers contradict what can be known here, or are about something else: over real services."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts, services
from tests.consumer_parts import ConsumerUnderTest
from tests.services import BackgroundLoop
from tests.web_parts import people, serving, settings

Change = Callable[[str, str], web.Response]
"""Path and text of an answer → what comes of it on its way."""


@pytest.fixture
def elsewhere(services_loop: BackgroundLoop, database_server: DatabaseSettings) -> Iterator[DatabaseSettings]:
    """Another database with the same tables."""
    name = f"test_{uuid.uuid4().hex}"
    made = f"CREATE DATABASE {name} TEMPLATE {services.TEMPLATE}"
    services_loop.run(services.execute(database_server, made))
    yield replace(database_server, dbname=name)
    dropped = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
    services_loop.run(services.execute(database_server, dropped))


@asynccontextmanager
async def behind(consumer: ConsumerUnderTest, change: Change) -> AsyncIterator[ConsumerUnderTest]:
    """The consumer behind a proxy that changes its answers."""

    async def answer(request: web.Request) -> web.Response:
        return change(request.path, (await consumer.get(request.path, **request.query)).text)

    app = web.Application()
    app.router.add_get("/{call}/", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield ConsumerUnderTest(consumer._http, url, consumer.health_path)
    finally:
        await runner.cleanup()


async def sent(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    consumer: ConsumerUnderTest,
    folder: Path,
    query: str = "?mode=batch&timeout=0&clear=true",
) -> dict[str, Any]:
    """What comes of 100 rows: the run, as it is told."""
    async with serving(settings(rabbit, database, consumer, folder)) as server:
        reply = await server.send(people(100), query)
        return dict(reply.json.get("run", reply.json))


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_a_consumer_that_counts_and_commits_nothing_is_not_believed(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, mode: str
) -> None:
    async with consumer_parts.field(rabbit, database, "--lose", "100", "--lie-saved") as double:
        run = await sent(rabbit, database, double, tmp_path, f"?mode={mode}&timeout=1&clear=true")
    assert (run["verdict"], run["db_count"], run["session"]["saved"]) == ("unknown", 0, 100)
    assert run["explanation"][0] == (
        "the consumer says it saved 100 rows, and employees did not grow: either it saves elsewhere, "
        "or nothing was committed"
    )


async def test_a_consumer_that_saves_elsewhere_is_not_believed(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    elsewhere: DatabaseSettings,
    tmp_path: Path,
) -> None:
    """The second time it finds its rows there, in a table that nobody here emptied."""
    async with consumer_parts.bundled(rabbit, elsewhere) as consumer:
        first = await sent(rabbit, database, consumer, tmp_path)
        second = await sent(rabbit, database, consumer, tmp_path)
    assert (first["verdict"], first["session"]["saved"], first["db_count"]) == ("unknown", 100, 0)
    assert "employees did not grow" in first["explanation"][0]
    assert (second["verdict"], second["session"]["duplicates"]) == ("unknown", 100)
    assert second["explanation"] == [
        (
            "the consumer says that 100 rows repeat a mail that was saved before, but the file repeats none, and "
            "employees held none of them before the run"
        )
    ]


async def test_a_file_whose_rows_were_all_saved_before_is_kept(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        await sent(rabbit, database, consumer, tmp_path)
        run = await sent(rabbit, database, consumer, tmp_path, "?mode=batch&timeout=0")
    assert (run["verdict"], run["session"]["saved"], run["db_count"]) == ("kept", 0, 100)
    assert run["explanation"] == ["100 rows repeat a mail that was saved before"]


def about_another(*calls: str) -> Change:
    def change(path: str, text: str) -> web.Response:
        if path.strip("/") in calls:
            text = json.dumps(json.loads(text) | {"uuid": "another"})
        return web.Response(text=text)

    return change


async def test_an_answer_about_another_session_fails_the_run_and_names_its_own(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    async with (
        consumer_parts.bundled(rabbit, database) as consumer,
        behind(consumer, about_another("remove")) as misled,
    ):
        run = await sent(rabbit, database, misled, tmp_path)
    own = run["session"]["uuid"]
    assert (run["state"], run["error"]["code"], run["verdict"]) == (
        "failed",
        "consumer_garbage",
        None,
    )
    assert run["error"]["message"] == (
        f"The consumer's /remove/ answered about session 'another', not {own}. "
        f"The consumer did not say that it removed the session {own}."
    )


async def test_a_look_at_another_session_is_no_news(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    async with (
        consumer_parts.bundled(rabbit, database) as consumer,
        behind(consumer, about_another("getSession")) as misled,
    ):
        run = await sent(rabbit, database, misled, tmp_path, "?mode=live&timeout=2&rate=100")
    assert (run["state"], run["verdict"], run["session"]["saved"]) == ("completed", "kept", 100)


def created(path: str, text: str) -> web.Response:
    return web.Response(text=text, status=201 if path == "/create/" else 200)


def floats(path: str, text: str) -> web.Response:
    if not text.startswith("{"):
        return web.Response(text=text)
    told = json.loads(text).items()
    return web.json_response({key: float(n) if type(n) is int else n for key, n in told})


def marked(path: str, text: str) -> web.Response:
    return web.Response(text=f"\ufeff{text}")


@pytest.mark.parametrize("change", [created, floats, marked])
async def test_a_session_that_is_told_in_another_way_is_taken(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, change: Change
) -> None:
    async with (
        consumer_parts.bundled(rabbit, database) as consumer,
        behind(consumer, change) as unusual,
    ):
        run = await sent(rabbit, database, unusual, tmp_path)
    assert (run["state"], run["verdict"], run["db_count"]) == ("completed", "kept", 100)


@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize(
    ("status", "form"),
    [
        (500, "{text}"),
        (200, "[{text}]"),
        (200, "made {uuid}"),
        (200, '{{"uuid": "{uuid}", "checksum": "none"}}'),
    ],
)
async def test_a_session_made_by_a_create_that_fails_is_removed_or_named(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    status: int,
    form: str,
    removes: bool,
) -> None:
    made: list[str] = []

    def change(path: str, text: str) -> web.Response:
        if path == "/remove/" and not removes:
            return web.Response(text="ERROR")
        if path != "/create/":
            return web.Response(text=text)
        made.append(json.loads(text)["uuid"])
        return web.Response(text=form.format(text=text, uuid=made[0]), status=status)

    async with (
        consumer_parts.bundled(rabbit, database) as consumer,
        behind(consumer, change) as failing,
    ):
        run = await sent(rabbit, database, failing, tmp_path)
        known = (await consumer.get("/getSession/", uuid=made[0])).text
    assert (run["state"], run["session"]) == ("failed", None)
    left = f"The consumer did not say that it removed the session {made[0]}."
    assert run["error"]["message"].endswith(left) is not removes
    if removes:
        assert not known.startswith("{")
        assert not await consumer_parts.queue_exists(rabbit, made[0])


async def test_a_create_that_hangs_up_is_told_as_one_that_may_have_made_a_session(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    async with consumer_parts.field(rabbit, database, "--create", "die") as double:
        run = await sent(rabbit, database, double, tmp_path)
    assert run["error"]["message"].endswith(
        "The consumer was asked for a session and named none: it may have created one nevertheless."
    )
