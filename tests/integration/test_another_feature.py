"""A feature that is handed in has a page, a table, a metric, a setting and a command, and no other file knows of it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from promise_pub import app, cli, db
from promise_pub.http.features import Feature, OpenFeature, Surroundings
from promise_pub.http.keys import NavItem
from promise_pub.http.negotiation import JSON, negotiate_format
from promise_pub.http.openapi.answers import answer, formats
from promise_pub.http.ops.metrics import gauge
from promise_pub.http.responses import as_json, page
from promise_pub.json_schema import COUNT, object_of, ref
from promise_pub.settings import casts
from promise_pub.settings.model import DatabaseSettings, RabbitSettings, option
from promise_pub.terminal import OK, CommandParsers, print_json
from tests.command_parts import configured
from tests.web_parts import settings

PAGE = """{% extends "layout.html" %}
{% block title %}Guests{% endblock %}
{% block styles %}<link rel="stylesheet" href="/static/guests/guests.css">{% endblock %}
{% block main %}<p class="guests">{{ count|thousands }} guests</p>{% endblock %}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSettings:
    start: int = option(casts.whole(0, 10_000), 1000)


class GuestBook:
    """Counts guests in a table of its own."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.seen = 0

    async def prepare(self, start: int) -> None:
        await self._pool.execute("CREATE TABLE IF NOT EXISTS guest_counts (count BIGINT)")
        await self._pool.execute("DELETE FROM guest_counts")
        await self._pool.execute("INSERT INTO guest_counts VALUES ($1)", start)

    async def add(self) -> int:
        self.seen += 1
        return int(await self._pool.fetchval("UPDATE guest_counts SET count = count + 1 RETURNING count"))

    async def drop(self) -> None:
        await self._pool.execute("DROP TABLE guest_counts")


class GuestCollector(Collector):
    def __init__(self, book: GuestBook) -> None:
        self._book = book

    def collect(self) -> Iterable[Metric]:
        yield gauge("guests", "Guests since the start.", self._book.seen)


BOOK = web.AppKey("guest_book", GuestBook)
routes = web.RouteTableDef()


@routes.get("/guests")
async def show_guests(request: web.Request) -> web.Response:
    count = await request.app[BOOK].add()
    if negotiate_format(request) == JSON:
        return as_json({"count": count})
    return page(request, "guests/guests.html", {"count": count})


@asynccontextmanager
async def open_guests(server: Surroundings) -> AsyncIterator[OpenFeature]:
    book = GuestBook(server.pool)
    await book.prepare(server.settings.of("guests", GuestSettings).start)
    yield OpenFeature(feature=FEATURE, values={BOOK: book}, collectors=[GuestCollector(book)])
    await book.drop()


def describe_guests() -> dict[str, object]:
    return {
        "operationId": "showGuests",
        "tags": ["guests"],
        "summary": "The number of guests",
        "responses": {"200": answer("The number.", formats(ref("Guests")), "ETag", "Vary")},
    }


async def count_guests(options: argparse.Namespace) -> int:
    configured = options.load_settings().of("guests", GuestSettings)
    print_json({"start": configured.start})
    return OK


def add_commands(commands: CommandParsers) -> None:
    commands.add("guests", count_guests, "the guests before the first", "promise-pub guests")


FEATURE = Feature(
    name="guests",
    folder=Path("replaced for each test"),
    sections={"guests": GuestSettings},
    open=open_guests,
    routes=routes,
    operations={("GET", "/guests"): describe_guests},
    schemas=lambda: {"Guests": object_of({"count": COUNT})},
    tags={"guests": "Who was here."},
    nav=(NavItem("/guests", "Guests"),),
    add_commands=add_commands,
)


@pytest.fixture
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Feature]:
    """Returns the features of the application, and one more with its page and stylesheet in a folder."""
    folder = tmp_path / "guests"
    for name, text in (("templates/guests.html", PAGE), ("static/guests.css", ".guests { color: green; }")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    mine = replace(FEATURE, folder=folder)
    monkeypatch.setitem(globals(), "FEATURE", mine)
    return [*app.FEATURES, mine]


async def test_a_feature_has_its_page_table_metric_and_description(
    features: list[Feature],
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    unused_tcp_port: int,
) -> None:
    options = replace(
        settings(rabbit, database, unused_tcp_port, tmp_path), features={"guests": GuestSettings(start=1233)}
    )
    async with app.running(options, features) as url, aiohttp.ClientSession(url) as http:

        async def get(path: str, accept: str = "text/html") -> str:
            async with http.get(path, headers={"Accept": accept}) as answered:
                assert answered.status == 200, path
                return await answered.text()

        shown = await get("/guests")
        assert '<p class="guests">1,234 guests</p>' in shown and 'aria-current="page">Guests</a>' in shown
        assert await get("/guests", "application/json") == '{"count": 1235}'
        assert "color: green" in await get("/static/guests/guests.css")
        assert 'href="/guests"' in await get("/")
        assert "promise_pub_guests 2.0" in await get("/metrics")
        described = await get("/openapi.json", "application/json")
        assert '"/guests"' in described and '"Who was here."' in described
        async with db.open_pool(database, max_size=1) as pool:
            assert await pool.fetchval("SELECT count FROM guest_counts") == 1235


def test_a_feature_has_its_commands_and_its_section(
    features: list[Feature], database: DatabaseSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = configured(tmp_path / "test.ini", database, guests=GuestSettings(start=7))
    assert cli.main(["-c", str(configuration), "guests"], features) == 0
    assert capsys.readouterr().out == '{\n  "start": 7\n}\n'
    with configuration.open("a") as file:
        file.write("finish = 8\n")
    assert cli.main(["-c", str(configuration), "guests"], features) == 2
    assert "[guests] finish: unknown option" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["guests"])


async def test_a_server_without_any_feature_runs(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int
) -> None:
    options = settings(rabbit, database, unused_tcp_port, tmp_path)
    async with app.running(options, ()) as url, aiohttp.ClientSession(url) as http:
        answers = [http.get(path) for path in ("/", "/runs", "/visits", "/docs", "/metrics")]
        assert [one.status for one in await asyncio.gather(*answers)] == [200, 200, 404, 200, 200]
