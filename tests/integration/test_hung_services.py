"""Every page answers soon while a service hangs, stopped by SIGSTOP: it is there, takes connections, and says nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web
from yarl import URL

from promise_pub import app, db
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.store import StoredAccounts
from promise_pub.features.journal.settings import BusSettings
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts, services
from tests.fake_accounts import QUICK
from tests.web_parts import Reply, ServerUnderTest, people, serving, settings, until

PROMISED = 15.0  # seconds; 10 are promised, and the machine may be busy
ROUNDS = 4  # times that every page is asked for at once: many more than the pool has connections
FORMATS = ("application/json", "text/html")
PASSWORD = "correct horse"
SHOWN = {200, 400}  # 400: a page that has no such format
NAMES = {"database": ("postgres",), "broker": ("beam.smp",)}


@contextmanager
def hanging(processes: list[psutil.Process]) -> Iterator[None]:
    """Stops processes without ending them, as long as the block lasts."""
    assert processes
    try:
        for process in processes:
            process.suspend()
        yield
    finally:
        for process in processes:
            process.resume()


def processes_of(service: str, folder: Path, consumer: consumer_parts.ConsumerUnderTest) -> list[psutil.Process]:
    if service == "consumer":
        port = URL(consumer.url).port
        listening = psutil.Process().children()
        return [one for one in listening if any(at.laddr.port == port for at in one.net_connections() if at.laddr)]
    return [one for one in services.running(folder).values() if one.name() in NAMES[service]]


@dataclass
class Place:
    """A server whose services can be made to hang, and the addresses of all its pages."""

    server: ServerUnderTest
    paths: list[str]
    headers: dict[str, str]
    hang: Callable[[str], Any]

    async def ask_all(self) -> list[tuple[str, Reply]]:
        """Asks for every page in every format, several times, all at once; each answers as soon as is promised."""
        asked = [(path, kind) for path in self.paths for kind in FORMATS] * ROUNDS
        return [
            *zip([path for path, _ in asked], await asyncio.gather(*(self.ask(*one) for one in asked)), strict=True)
        ]

    async def ask(self, path: str, kind: str) -> Reply:
        try:
            async with asyncio.timeout(PROMISED):
                return await self.server.get(path, headers={**self.headers, "Accept": kind}, allow_redirects=False)
        except TimeoutError:
            raise AssertionError(f"{path} as {kind} did not answer") from None


def paths_of(made: web.Application, values: dict[str, str]) -> list[str]:
    """An address for each route that is looked at, with these values in it: one that is new needs them here."""
    paths = {route.resource.canonical for route in made.router.routes() if route.method == "GET" and route.resource}
    paths = {path for path in paths if not path.startswith("/static")} | {"/static/style.css"}
    return sorted(re.sub(r"\{(\w+)\}", lambda name: values[name[1]], path) for path in paths)


@pytest.fixture(params=["off", "users"])
def auth(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def place(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    session_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    auth: str,
) -> AsyncIterator[Place]:
    made: list[web.Application] = []

    def make_app(*arguments: Any) -> web.Application:
        made.append(make(*arguments))
        return made[-1]

    make = app.make_app
    monkeypatch.setattr(app, "make_app", make_app)
    headers = await make_accounts(database) if auth == "users" else {}
    async with consumer_parts.field(rabbit, database) as consumer:
        chosen = settings(rabbit, database, consumer, tmp_path, auth=auth)
        async with serving(chosen) as server:
            yield await furnish(
                server, made[0], headers, lambda name: hanging(processes_of(name, session_folder, consumer))
            )


async def make_accounts(database: DatabaseSettings) -> dict[str, str]:
    async with db.open_pool(database, max_size=1) as pool:
        accounts = StoredAccounts(pool)
        await accounts.add_user("ann", Role.OPERATOR, await Passwords(QUICK).hash(PASSWORD))
        token, _ = await accounts.add_token("tests", Role.OPERATOR, 1)
    return {"Authorization": f"Bearer {token}"}


async def furnish(
    server: ServerUnderTest, made: web.Application, headers: dict[str, str], hang: Callable[[str], Any]
) -> Place:
    """A run that has ended, a visit and an event, so that there is something on every page."""
    json = {**headers, "Accept": "application/json", "Content-Type": "text/csv"}
    ended = (
        await server.ask("POST", "/simulate/?timeout=0&mode=batch", data=people(20) + b"nothing\n", headers=json)
    ).json
    assert ended["state"] == "completed"
    await server.get("/runs", headers={**headers, "Accept": "text/html"})

    async def visited() -> Any:
        return (await server.get("/visits", headers=json)).json["sessions"]

    session = (await until(visited))[0]["session_id"]

    async def told() -> Any:
        return (await server.get("/journal", headers=json)).json["events"]

    async def counted() -> bool:
        return (await server.get("/stats/runs", headers=json)).status == 200

    await until(counted)
    values = {
        "id": ended["id"],
        "session_id": session,
        "seq": str((await until(told))[0]["seq"]),
        "name": "runs",
        "day": "2026-01-05",
    }
    return Place(server, paths_of(made, values), headers, hang)


async def all_is_well(place: Place) -> bool:
    return {reply.status for _, reply in await place.ask_all()} <= SHOWN


def is_missing(reply: Reply) -> bool:
    """Tells an answer that says that the database is away, or that too many wait, which they do for it."""
    return reply.status == 503 and ("database" in reply.text.lower() or "too many" in reply.text.lower())


async def test_while_the_database_hangs_every_page_answers_and_all_is_well_again_after_it(place: Place) -> None:
    assert await all_is_well(place)
    with place.hang("database"):
        for _ in range(2):
            for path, reply in await place.ask_all():
                assert reply.status in SHOWN or is_missing(reply), (path, reply.status, reply.text[:500])
    await until(lambda: all_is_well(place))


@pytest.mark.parametrize("auth", ["off"], indirect=True)
@pytest.mark.parametrize("service", ["broker", "consumer"])
async def test_while_another_service_hangs_all_pages_are_shown_and_one_names_it(place: Place, service: str) -> None:
    async def is_named_alone() -> bool:
        told = (await place.server.get("/readyz")).json
        return [name for name in told if name != "ready" and not told[name]["ready"]] == [service]

    with place.hang(service):
        for path, reply in await place.ask_all():
            if path == "/readyz":
                assert reply.status == 503
            else:
                assert reply.status in SHOWN, (path, reply.status, reply.text[:500])
        # Not among all others: on a busy machine the database may be late then, too.
        await until(is_named_alone)
    await until(lambda: all_is_well(place))


@pytest.mark.parametrize("auth", ["users"], indirect=True)
async def test_while_the_database_hangs_nobody_logs_in_and_everybody_is_told_so(place: Place) -> None:
    async def log_in(name: str) -> Reply:
        async with asyncio.timeout(PROMISED):
            form = {"name": name, "password": PASSWORD, "next": "/"}
            return await place.server.ask("POST", "/login", data=form, allow_redirects=False)

    with place.hang("database"):
        assert all(map(is_missing, await asyncio.gather(*(log_in(f"user{n}") for n in range(20)))))

    async def is_in() -> bool:
        return (await log_in("ann")).status == 303

    await until(is_in)


async def test_while_the_database_hangs_a_server_stops_as_soon_as_is_promised(
    rabbit: RabbitSettings, database: DatabaseSettings, session_folder: Path, tmp_path: Path, unused_tcp_port: int
) -> None:
    """Also with something left to tell, and the bus."""
    await make_accounts(database)
    bus = BusSettings(enabled=True, exchange="events-hung", queue="journal-hung")
    chosen = replace(settings(rabbit, database, unused_tcp_port, tmp_path, auth="users"), features={"bus": bus})
    clock = asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(chosen))
        form = {"name": "ann", "password": "wrong", "next": "/"}
        assert (await server.ask("POST", "/login", data=form)).status == 401
        postgres = [one for one in services.running(session_folder).values() if one.name() in NAMES["database"]]
        with hanging(postgres):
            began = clock()
            await stack.aclose()
            assert clock() - began < PROMISED


@pytest.mark.parametrize("auth", ["off"], indirect=True)
@pytest.mark.parametrize("action", ["cancel", "resume", "again"])
async def test_while_the_database_hangs_nothing_is_done_to_a_run_and_that_is_told(place: Place, action: str) -> None:
    (path,) = [path for path in place.paths if path.endswith("/rejects")]
    with place.hang("database"):
        async with asyncio.timeout(PROMISED):
            reply = await place.server.ask("POST", path.replace("rejects", action), headers={"Accept": FORMATS[0]})
        assert is_missing(reply)
    await until(lambda: all_is_well(place))
