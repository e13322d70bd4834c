"""Rows and secrets through every path there is, failures too: nothing of them gets into the log."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from promise_pub import db
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.store import StoredAccounts
from promise_pub.delivery.run import judging
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.logs import logging_to
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from promise_pub.web.runs import index
from tests.consumer_parts import ConsumerUnderTest, bundled
from tests.fake_accounts import QUICK
from tests.web_parts import ServerUnderTest, serving, settings

ROW = "Zq7Row"  # stands in each row, and in nothing else
SECRET = "Zq7Secret"  # stands in each password, token and query
GOOD = f"{ROW} A,{ROW}a@x\n{ROW} B,{ROW}b@x\n{ROW} again,{ROW}a@x\n"
BAD = f'{ROW} alone\n{ROW}, too, many\n"{ROW} open,{ROW}@x\n{ROW}\udcff,{ROW}@x\n'
LONG = f"{ROW}{'x' * 200},{ROW}long@x\n{ROW}\0,{ROW}nul@x\n{ROW}\u2028,{ROW}\U0001f600@x\n"
FILE = (GOOD + BAD + LONG).encode(errors="surrogateescape")

Read = Callable[[], str]


@contextmanager
def logged(folder: Path, level: int, form: str) -> Iterator[Read]:
    path = folder / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with logging_to(descriptor, level, form):
            yield path.read_text
    finally:
        os.close(descriptor)


@asynccontextmanager
async def echoing() -> AsyncIterator[ConsumerUnderTest]:
    """A consumer that says what it cannot take."""

    async def complain(request: web.Request) -> web.Response:
        if request.path == "/create/":
            return web.json_response({"uuid": f"no-queue-{os.urandom(4).hex()}"})
        status = 500 if request.path == "/remove/" else 200
        return web.Response(text=f"ERROR: cannot take {ROW}", status=status)

    app = web.Application()
    app.router.add_get("/{any:.*}", complain)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield ConsumerUnderTest(http, url, "/healthcheck/")
    finally:
        await runner.cleanup()


async def send(server: ServerUnderTest, who: dict[str, str], content: bytes, query: str) -> Any:
    headers = {"Content-Type": "text/csv", "Accept": "application/json", **who}
    return await server.ask("POST", f"/simulate/?timeout=0&filename=a.csv&{query}", data=content, headers=headers)


async def come_and_go(server: ServerUnderTest, token: str) -> dict[str, str]:
    """Logs in, well and not, with passwords, cookies and tokens; what lets an operator in."""
    page = {"Accept": "text/html"}
    for name, password in (("ann", f"{SECRET}wrong"), (SECRET, SECRET), ("ann", SECRET)):
        fields = {"name": name, "password": password, "next": f"/runs?q={SECRET}"}
        reply = await server.ask("POST", "/login", data=fields, headers=page, allow_redirects=False)
    assert reply.status == 303
    cookie = {"Cookie": reply.headers["Set-Cookie"].partition(";")[0]}
    for path, status in (("/runs", 200), (f"/?password={SECRET}", 200), (f"/runs?{SECRET}", 400)):
        assert (await server.get(path, headers=cookie)).status == status
    for wrong in (f"Bearer {SECRET}", f"Basic {SECRET}", f"Bearer {token}{SECRET}"):
        reply = await server.get(f"/{SECRET[:0]}?q={SECRET}", headers={"Authorization": wrong})
        assert reply.status == 401
    made_up = {"Cookie": f"promise_pub_session={SECRET}", "X-Request-ID": f"{SECRET} {SECRET}"}
    assert (await server.get("/runs", headers=made_up)).status == 401
    other = {**cookie, "Origin": f"https://{SECRET}.example", "Referer": f"https://{SECRET}/"}
    assert (await server.ask("POST", "/logout", headers=other)).status == 403
    assert (await server.ask("POST", "/logout", headers=cookie, allow_redirects=False)).status == 303
    assert (await server.get("/runs", headers=cookie | {"Accept": "application/json"})).status == 401
    return {"Authorization": f"Bearer {token}"}


async def run_files(server: ServerUnderTest, who: dict[str, str]) -> None:
    """Files that are taken, and such as are not."""
    for mode in ("live", "batch"):
        reply = await send(server, who, FILE, f"mode={mode}")
        assert reply.status == 200 and reply.json["rows"]["rejected"], reply.text
    assert (await send(server, who, BAD.encode(errors="surrogateescape"), "")).status == 422
    assert (await send(server, who, FILE * 1000, "")).status == 413
    assert (await send(server, who, FILE, f"mode={ROW}")).status == 400
    assert (await send(server, who, FILE, f"{SECRET}={SECRET}")).status == 400
    for path in ("", "/rejects", "/stream"):
        run = (await server.get("/runs", headers=who | {"Accept": "application/json"})).json[0]
        assert (await server.get(f"/runs/{run['id']}{path}", headers=who)).status == 200


async def fail_unforeseen(server: ServerUnderTest, who: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw quotes a row, in a handler, in a run, and while the run is recorded."""

    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError(f"cannot take {ROW}")

    with monkeypatch.context() as patch:
        patch.setattr(judging, "judge", fail)
        assert (await send(server, who, FILE, "mode=batch")).status == 500
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "add_rejects", fail)
        await send(server, who, FILE, "mode=batch")
    with monkeypatch.context() as patch:
        patch.setattr(index, "page", fail)
        assert (await server.get("/", headers=who)).status == 500


async def refused_by_the_database(pool: Any) -> None:
    """Errors that quote what was to be stored."""
    with db.translated():
        await pool.execute("INSERT INTO employees (name, mail) VALUES ($1, $1)", f"{ROW} twice")
    for statement, value in (
        ("INSERT INTO employees (name, mail) VALUES ($1, $1)", f"{ROW} twice"),
        ("SELECT $1::int", ROW),
        ("SELECT $1::text", f"{ROW}\udcff"),
        ("SELECT $1::text::int", ROW),
    ):
        with pytest.raises(db.DatabaseError) as caught, db.translated():
            await pool.execute(statement, value)
        logging.getLogger("promise_pub.tests").error("%s", caught.value.message)


@pytest.mark.parametrize(
    ("level", "form", "never"),
    [
        (logging.INFO, "text", (ROW, SECRET)),
        (logging.INFO, "json", (ROW, SECRET)),
        (logging.DEBUG, "text", (SECRET,)),
    ],
)
async def test_no_row_and_no_secret_gets_into_the_log(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    level: int,
    form: str,
    never: tuple[str, ...],
) -> None:
    assert len(database.password) > 10 and len(rabbit.password) > 10
    never = (*never, database.password, rabbit.password)
    options: dict[str, Any] = {"auth": "users", "max_upload": 100_000}
    with logged(tmp_path, level, form) as read:
        async with db.open_pool(database, max_size=2) as pool:
            accounts = StoredAccounts(pool)
            await accounts.add_user("ann", Role.OPERATOR, await Passwords(QUICK).hash(SECRET))
            token, _ = await accounts.add_token("ci", Role.OPERATOR, 1)
            await refused_by_the_database(pool)
        with pytest.raises(db.DatabaseRefused) as caught:
            async with db.open_pool(replace(database, password=SECRET)):
                pass
        logging.getLogger("promise_pub.tests").error("%s", caught.value, exc_info=caught.value)
        async with bundled(rabbit, database) as consumer:
            chosen = settings(rabbit, database, consumer, tmp_path, **options)
            async with serving(chosen) as server:
                who = await come_and_go(server, token)
                await run_files(server, who)
                await fail_unforeseen(server, who, monkeypatch)
            guest = replace(rabbit, password=SECRET)
            async with serving(replace(chosen, rabbit=guest)) as server:
                reply = await send(server, who, FILE, "mode=live")
                assert (reply.status, reply.json["code"]) == (502, "broker_refused")
                assert (await server.get("/readyz", headers=who)).status == 503
        async with echoing() as consumer:
            chosen = settings(rabbit, database, consumer, tmp_path, **options)
            async with serving(chosen) as server:
                reply = await send(server, who, FILE, "mode=live")
                assert (reply.status, reply.json["code"]) == (502, "consumer_complaint")
                assert ROW in reply.text
        await asyncio.sleep(0)
    log = read()
    secret = (*never, token, token.removeprefix("ppub_"))
    assert [word for word in secret if word.lower() in log.lower()] == [], "whatever its case"
    for event in (
        "Listening",
        "Login: ann",
        "Login failed",
        "Run queued",
        "Run started",
        "Run ended",
        "Session removed",
        "Session left behind",
        "Upload refused",
        "unexpectedly",
        "ValueError",
        "Request",
        "Stopped",
        "broker_refused",
        "file_too_large",
        "token_refused",
        "a value cannot be stored",
        "duplicate key value",
    ):
        assert event in log, event
