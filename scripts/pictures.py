"""Pictures of every page, by a real Chromium from a real server: `make doc` writes them to docs/pictures/.

The server is `promise-pub serve --local` in a folder of its own. What it is sent is made here, so that every picture
shows something: repeated mails, rejected rows, a run that goes, one that was cancelled.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from playwright.async_api import Page
from yarl import URL

from promise_pub.app import FEATURES, sections_of
from promise_pub.db import open_pool
from promise_pub.event_records import OutboxEvent
from promise_pub.outbox import Outbox, new_message_id
from promise_pub.settings.model import load

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser_parts import PHONE, Eye, chromium  # noqa: E402  the project's folder comes first
from tests.services import start_command  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
DESKTOP, TALL = (1100, 900), (1100, 1220)
START_TIMEOUT = 120.0  # seconds for the local stack
JSON = {"Accept": "application/json"}
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def people(count: int, *, repeats: int = 0, bad: int = 0) -> bytes:
    """Rows, of which some repeat a mail and some are none."""
    rows = [f"Person {number},person{number}@example.com" for number in range(count - repeats)]
    rows += [f"Again {number},person{number}@example.com" for number in range(repeats)]
    rows += [f"Somebody without a mail {number}" for number in range(bad)]
    return "\n".join(rows).encode() + b"\n"


# Where people go from each page, and how often; None: away.
WAYS: dict[str, dict[str | None, int]] = {
    "/": {"/simulate/": 25, "/runs": 20, "/runs/{id}": 30, "/docs": 8, "/": 5, None: 12},
    "/simulate/": {"/runs/{id}": 50, "/": 30, None: 20},
    "/runs": {"/runs/{id}": 50, "/compare": 15, "/": 15, "/runs": 10, None: 10},
    "/runs/{id}": {"/": 25, "/runs": 25, "/runs/{id}": 15, "/runs/{id}/rejects": 10, None: 25},
    "/runs/{id}/rejects": {"/runs/{id}": 80, None: 20},
    "/compare": {"/runs": 50, "/runs/{id}": 30, None: 20},
    "/docs": {"/": 30, "not found": 10, None: 60},
    "/visits": {"/visits/{session_id}": 60, "/": 20, None: 20},
    "/visits/{session_id}": {"/visits": 70, None: 30},
    "not found": {"/": 60, None: 40},
    "/login": {"/": 80, "/login": 15, None: 5},
}
ENTRIES = {"/": 60, "/runs/{id}": 15, "/runs": 10, "/login": 8, "/visits": 5, "/docs": 2}


def visits(sessions: int) -> str:
    """So many people's ways through the pages in the last days, always the same, as `visits import` takes them."""
    chance = random.Random(7)
    now = datetime.now(UTC)
    lines = ["at,session_id,page,path,method,status,took_ms,ip,user_agent"]
    for _ in range(sessions):
        session = UUID(int=chance.getrandbits(128), version=4)
        at = now - timedelta(hours=1 + 200 * chance.random())
        page: str | None = chance.choices([*ENTRIES], [*ENTRIES.values()])[0]
        while page:
            path = "/no-more" if page == "not found" else page.replace("{id}", str(session))
            shown = f"{path.replace('{session_id}', str(session))},GET,{404 if path == '/no-more' else 200}"
            took, address = 2 + 9 * chance.random(), f"203.0.113.{chance.randrange(256)}"
            lines.append(f"{at.isoformat()},{session},{page},{shown},{took:.1f},{address},{BROWSER}")
            at += timedelta(seconds=chance.expovariate(0.05))
            page = chance.choices([*WAYS[page]], [*WAYS[page].values()])[0]
    return "\n".join(lines)


TOPICS = {"shop.order.created": 9, "shop.order.paid": 7, "shop.parcel.sent": 5, "shop.order.cancelled": 1}


def events(hours: int) -> str:
    """Events of a shop in the last hours, fewer at night, always as many, as `journal import` takes them."""
    chance = random.Random(8)
    now = datetime.now(UTC)
    lines = []
    for number in range(60 * hours):
        at = now - timedelta(minutes=number)
        if chance.random() < (0.9 if 7 <= at.hour < 20 else 0.2):
            (topic,) = chance.choices([*TOPICS], [*TOPICS.values()])
            order = {"order": 90_000 - number, "total": round(10 + 90 * chance.random(), 2)}
            told = {"topic": topic, "at": at.isoformat(), "sender": "shop", "subject": f"order {order['order']}"}
            lines.append(json.dumps({**told, "content_type": "application/json", "body": json.dumps(order)}))
    return "\n".join(lines)


def logins(days: int) -> list[OutboxEvent]:
    """Logins of a growing team in the last days, fewer at weekends, always as many."""
    chance = random.Random(9)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    told = []
    for day in range(days):
        began = today - timedelta(days=days - day)
        for person in range(12 + day // 5):
            if chance.random() < (0.05 if began.weekday() > 4 else 0.35):
                at = began + timedelta(hours=7 + 9 * chance.random())
                name = f"person{person}"
                told.append(
                    OutboxEvent(
                        message_id=new_message_id(), at=at, topic="account.login", actor=name, body={"user": name}
                    )
                )
    return told


class Server:
    """The server that is looked at."""

    def __init__(self, url: URL, http: aiohttp.ClientSession, folder: Path) -> None:
        self.url = url
        self._http = http
        self._folder = folder

    async def visited(self, hits: str) -> None:
        await self._import("visits", hits)

    async def told(self, events: str) -> None:
        await self._import("journal", events)

    async def _import(self, command: str, content: str) -> None:
        file = self._folder / f"{command}.txt"
        file.write_text(content, encoding="utf-8")
        configuration = self._folder / ".local" / "local.ini"
        importing = await start_command((command, "import", file, "-c", configuration), {}, self._folder)
        assert await importing.finish() == 0, importing.output

    async def mark(self, version: str, at: datetime) -> None:
        """Tells that a version was deployed at this moment."""
        told = {"topic": "deploy", "data": {"version": version}, "at": at.isoformat()}
        async with self._http.post(self.url / "journal", json=told) as answer:
            answer.raise_for_status()

    async def used(self, logins: Sequence[OutboxEvent]) -> None:
        """Lets these have been, though nobody logs in here, and condenses their days."""
        configured = load(self._folder / ".local" / "local.ini", {}, sections_of(FEATURES))
        async with open_pool(configured.database, max_size=1) as pool:
            await Outbox(pool, read_by_somebody=True).put(*logins)
            while await pool.fetchval("SELECT EXISTS (SELECT FROM outbox)"):  # noqa: ASYNC110  in another process
                await asyncio.sleep(0.1)
        async with self._http.post(self.url / "jobs" / "usage" / "run", headers=JSON) as answer:
            run = self.url.join(URL(answer.headers["Location"])).path.lstrip("/")
        while (await self.get(run))["state"] != "completed":  # noqa: ASYNC110  in another process
            await asyncio.sleep(0.1)

    async def counted(self) -> None:
        """Waits until every statistic has counted all events."""
        while any(one["behind"] for one in (await self.get("stats"))["statistics"]):  # noqa: ASYNC110  in another process
            await asyncio.sleep(0.1)

    async def send(self, content: bytes, name: str, **parameters: Any) -> str:
        """Starts a run; its id."""
        query = {"filename": name, **{key: str(value) for key, value in parameters.items()}}
        headers = {**JSON, "Content-Type": "text/csv", "Prefer": "respond-async"}
        target = self.url / "simulate" / ""
        async with self._http.post(target, data=content, params=query, headers=headers) as answer:
            answer.raise_for_status()
            return str((await answer.json())["id"])

    async def ended(self, run_id: str) -> str:
        while (await self.get(f"runs/{run_id}"))["finished_at"] is None:  # noqa: ASYNC110  it is in another process
            await asyncio.sleep(0.1)
        return run_id

    async def cancel(self, run_id: str) -> None:
        async with self._http.post(self.url / "runs" / run_id / "cancel", headers=JSON) as answer:
            answer.raise_for_status()

    async def get(self, path: str) -> Any:
        async with self._http.get(self.url.joinpath(path), headers=JSON) as answer:
            answer.raise_for_status()
            return await answer.json(content_type=None)


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory(prefix="promise-pub-doc-") as name:
        folder = Path(name)
        environment = {"PROMISE_PUB_SERVER_PORT": "0"}
        command = await start_command(("serve", "--local", "--state", folder / ".local"), environment, folder)
        try:
            found = await command.wait_for(r"^promise-pub .* on (http\S+)", START_TIMEOUT)
            async with aiohttp.ClientSession() as http:
                yield Server(URL(found[1]), http, folder)
            await command.stop()
        finally:
            await command.clean_up()


async def take_pictures(server: Server, eye: Eye) -> None:
    """Every page, in a state that shows what it is for."""
    kept = await server.ended(await server.send(people(11_275, repeats=72, bad=2), "people.csv", rate=6000))
    slow = await server.ended(
        await server.send(people(5_000), "people-slowly.csv", mode="batch", profile="500:1,4000:1")
    )
    cancelled = await server.send(people(5_000), "too-many.csv", rate=500)
    await asyncio.sleep(1.5)
    await server.cancel(cancelled)
    await server.ended(cancelled)
    going = await server.send(people(30_000), "a-long-one.csv", rate=2000, timeout=2)
    page = await eye.look("/", size=DESKTOP)
    await page.set_input_files(
        "input[type=file]",
        {"name": "people.csv", "mimeType": "text/csv", "buffer": people(200, bad=1)},
    )
    await page.wait_for_timeout(1500)
    await save(page, "form")
    await shot(eye, "/", "form-phone", size=PHONE)
    running = await eye.look(f"/runs/{going}", size=DESKTOP)
    await running.wait_for_timeout(5000)
    await save(running, "run-going")
    await server.cancel(going)
    await shot(eye, f"/runs/{kept}", "run")
    await shot(eye, f"/runs/{kept}", "run-dark", dark=True)
    await shot(eye, f"/runs/{kept}", "run-phone", size=PHONE)
    await shot(eye, f"/runs/{cancelled}", "run-cancelled")
    await shot(eye, "/runs", "runs")
    await shot(eye, f"/compare?run={kept}&run={slow}", "compare")
    await shot(eye, "/docs", "api")
    await server.visited(visits(400))
    await shot(eye, "/visits?since=30d", "visits", size=TALL)
    await shot(eye, "/visits?since=30d", "visits-dark", size=TALL, dark=True)
    await shot(eye, "/visits?since=30d", "visits-phone", size=PHONE)
    longest = max((await server.get("visits"))["sessions"], key=lambda session: int(session["hits"]))
    await shot(eye, f"/visits/{longest['session_id']}", "visit")
    await server.told(events(48))
    for hours, version in ((30, "1.3"), (9, "1.4")):
        await server.mark(version, datetime.now(UTC) - timedelta(hours=hours))
    await server.counted()
    await shot(eye, "/journal", "journal")
    await shot(eye, f"/journal/{(await server.get('journal'))['events'][0]['seq']}", "event")
    await shot(eye, "/stats", "statistics", size=TALL)
    busy = "/stats/volume-by-topic?interval=1h&since=48h"
    await shot(eye, busy, "statistic")
    await shot(eye, busy, "statistic-dark", dark=True)
    await shot(eye, busy, "statistic-phone", size=PHONE)
    await shot(eye, "/stats/confirm-latency?interval=1h&since=24h", "percentiles")
    await server.used(logins(120))
    await shot(eye, "/jobs", "jobs")
    await shot(eye, "/jobs/usage", "job")
    usage = "/usage?aggregate=week&start=120d"
    await shot(eye, usage, "usage", size=TALL)
    await shot(eye, usage, "usage-dark", size=TALL, dark=True)
    await shot(eye, usage, "usage-phone", size=PHONE)
    await shot(eye, "/nowhere", "error")


async def shot(eye: Eye, path: str, name: str, *, size: tuple[int, int] = DESKTOP, dark: bool = False) -> None:
    page = await eye.look(path, size=size, dark=dark)
    await page.wait_for_timeout(500)
    await save(page, name)


async def save(page: Page, name: str) -> None:
    await page.screenshot(path=PICTURES / f"{name}.png")
    await page.context.close()


async def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    async with serving() as server, chromium() as browser:
        await take_pictures(server, Eye(browser, server.url))
    for path in sorted(PICTURES.iterdir()):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    asyncio.run(main())
