"""The server with users, over real services: logging in, tokens, restarts, TLS, and a database that goes away."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub import db
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.store import StoredAccounts
from promise_pub.errors import ConfigurationError, SchemaMissing, ServerAnswerError
from promise_pub.http import security
from promise_pub.remote.client import TOKEN_VARIABLE, open_remote
from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests.fake_accounts import QUICK
from tests.services import StartCommand, execute
from tests.tls import make_certificate
from tests.web_parts import PATIENCE, Reply, ServerUnderTest, serving, settings

JSON = {"Accept": "application/json"}
BROWSER = {"Accept": "text/html"}
PASSWORD = "correct horse"


@asynccontextmanager
async def keeping(database: DatabaseSettings) -> AsyncIterator[StoredAccounts]:
    async with db.open_pool(database, max_size=1) as pool:
        yield StoredAccounts(pool)


@pytest.fixture
async def guarded(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int) -> Settings:
    """Settings with users on an address beyond loopback; ann is an operator."""
    async with keeping(database) as accounts:
        await accounts.add_user("ann", Role.OPERATOR, await Passwords(QUICK).hash(PASSWORD))
    return settings(rabbit, database, unused_tcp_port, tmp_path, auth="users", host="0.0.0.0")


async def log_in(server: ServerUnderTest, password: str = PASSWORD, name: str = "ann", **more: Any) -> Reply:
    fields = {"name": name, "password": password, "next": "/runs"}
    return await server.ask("POST", "/login", data=fields, headers=BROWSER, allow_redirects=False, **more)


def cookie_of(reply: Reply) -> dict[str, str]:
    return {"Cookie": reply.headers["Set-Cookie"].partition(";")[0]}


async def test_a_login_opens_the_pages_and_outlives_the_server(guarded: Settings) -> None:
    async with serving(guarded) as server:
        assert (await server.get("/runs", headers=JSON)).status == 401
        assert (await log_in(server, "wrong horse")).status == 401
        reply = await log_in(server)
        assert (reply.status, reply.headers["Location"]) == (303, "/runs")
        page = await server.get("/runs", headers=cookie_of(reply))
        assert page.status == 200 and "ann (operator)" in page.text
    async with serving(guarded) as server:
        assert (await server.get("/runs", headers=JSON | cookie_of(reply))).status == 200
        gone = await server.ask("POST", "/logout", headers=cookie_of(reply), allow_redirects=False)
        assert gone.status == 303
        assert (await server.get("/runs", headers=JSON | cookie_of(reply))).status == 401


@pytest.mark.parametrize("name", ["", "a\0b", "ann'--", "\u202e", "x" * 5000])
async def test_what_could_be_no_name_is_a_wrong_one(guarded: Settings, name: str) -> None:
    async with serving(guarded) as server:
        assert (await log_in(server, name=name)).status == 401


async def test_a_login_that_breaks_off_is_nothing_unforeseen(
    guarded: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with serving(guarded) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.url.port)
        writer.write(
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=ann"
        )
        await asyncio.sleep(0.2)
        writer.close()
        await writer.wait_closed()
        broken = form | {"Content-Encoding": "gzip"} | JSON
        reply = await server.ask("POST", "/login", data=b"no gzip", headers=broken)
        assert (reply.status, reply.json["code"]) == (415, "encoding_not_supported")
        await asyncio.sleep(0.2)
    assert "unexpectedly" not in caplog.text


async def test_the_hash_of_an_old_password_is_made_anew(guarded: Settings, database: DatabaseSettings) -> None:
    async with serving(guarded) as server, keeping(database) as accounts:
        assert (await log_in(server)).status == 303
        user = await accounts.find_user("ann")
        assert user and not Passwords().is_outdated(user.password)
        assert (await log_in(server)).status == 303


async def test_whoever_is_removed_is_out_at_once(guarded: Settings, database: DatabaseSettings) -> None:
    async with serving(guarded) as server, keeping(database) as accounts:
        cookie = cookie_of(await log_in(server))
        assert (await server.get("/runs", headers=JSON | cookie)).status == 200
        await accounts.remove_user("ann")
        assert (await server.get("/runs", headers=JSON | cookie)).status == 401


async def test_while_the_database_is_away_nobody_comes_in(
    guarded: Settings, database: DatabaseSettings, database_server: DatabaseSettings
) -> None:
    async with serving(guarded) as server:
        cookie = cookie_of(await log_in(server))
        await execute(database_server, f"DROP DATABASE {database.dbname} WITH (FORCE)")
        for path in ("/", "/runs", "/readyz"):
            reply = await server.get(path, headers=JSON | cookie)
            assert reply.status == 503 and reply.json["code"].startswith("database_")
        page = await server.get("/", headers=BROWSER | cookie)
        assert page.status == 503 and "database" in page.text
        assert (await log_in(server)).status == 503
        assert (await server.get("/healthz")).status == 200


async def test_the_command_line_sends_the_token_of_its_environment(
    guarded: Settings, database: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.csv"
    file.write_text("a,b\n")
    async with serving(guarded) as server, keeping(database) as accounts:
        viewer, _ = await accounts.add_token("cron", Role.VIEWER, 1)
        operator, _ = await accounts.add_token("ci", Role.OPERATOR, 1)
        for token, said in (
            ("", "login_required"),
            ("none", "token_refused"),
            (viewer, "not_allowed"),
        ):
            monkeypatch.setenv(TOKEN_VARIABLE, token)
            async with open_remote(str(server.url)) as remote:
                with pytest.raises(ServerAnswerError, match=said) as caught:
                    await remote.submit(file, {}, lambda _: None)
            assert not token or token not in str(caught.value)
        monkeypatch.setenv(TOKEN_VARIABLE, f"{operator}\n")
        async with open_remote(str(server.url)) as remote:
            run = await remote.submit(file, {}, lambda _: None)
            assert (await remote.run(run["id"]))["id"] == run["id"]
        assert run["started_by"] == "ci", "the token is named, and a run made again is another's"
        cookie = cookie_of(await log_in(server))
        page = await server.get(f"/runs/{run['id']}", headers=cookie)
        assert "Started by" in page.text and "<bdi>ci</bdi>" in page.text
        again = await server.ask("POST", f"/runs/{run['id']}/again", headers=JSON | cookie)
        assert again.json["started_by"] == "ann"


async def test_a_token_that_could_not_be_one_is_not_sent_nor_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "sec\nret")
    with pytest.raises(ConfigurationError, match=f"{TOKEN_VARIABLE}: holds no token") as caught:
        async with open_remote("http://localhost:1"):
            pass
    assert "ret" not in str(caught.value)


async def test_a_token_is_not_sent_to_where_a_server_redirects(
    monkeypatch: pytest.MonkeyPatch,
    aiohttp_server: Callable[[web.Application], Awaitable[Any]],
) -> None:
    seen: list[str | None] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({"id": "x"})

    there = web.Application()
    there.router.add_get("/runs/x", elsewhere)
    target = await aiohttp_server(there)

    async def redirect(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        raise web.HTTPFound(target.make_url("/runs/x"))

    here = web.Application()
    here.router.add_get("/runs/x", redirect)
    monkeypatch.setenv(TOKEN_VARIABLE, "token")
    async with open_remote(str((await aiohttp_server(here)).make_url("/"))) as remote:
        await remote.run("x")
    assert seen == ["Bearer token", None]


async def test_the_server_refuses_to_listen_to_the_world_without_users(
    guarded: Settings, settings_file: Callable[[Settings], Path], start_process: StartCommand
) -> None:
    path = settings_file(guarded)
    refused = await start_process("serve", "-c", path, env={"PROMISE_PUB_SERVER_AUTH": "off"})
    assert await refused.finish() == 2
    assert "[server] auth: must be users" in refused.output and "0.0.0.0" in refused.output
    assert len(refused.output.splitlines()) == 1
    served = await start_process("serve", "-c", path)
    await served.wait_for("on http://0.0.0.0:")
    assert await served.stop() == 0


async def test_users_need_their_tables(guarded: Settings, database: DatabaseSettings) -> None:
    async with db.open_pool(database, max_size=1) as pool:
        await pool.execute("DROP TABLE access_keys")
    with pytest.raises(SchemaMissing):
        async with serving(guarded):
            pass


async def test_over_tls_browsers_are_told_to_stay_and_the_cookie_goes_nowhere_else(
    guarded: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = make_certificate(tmp_path, "IP:127.0.0.1")
    files = {"ssl_certificate": certificate.file, "ssl_key": certificate.key}
    chosen = replace(guarded, server=replace(guarded.server, host="127.0.0.1", **files))
    trusted = ssl.create_default_context(cafile=str(certificate.file))
    async with serving(chosen) as server:
        assert server.url.scheme == "https"
        reply = await log_in(server, ssl=trusted)
        assert reply.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        parts = {part.strip() for part in reply.headers["Set-Cookie"].split(";")}
        assert parts >= {"Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"}
    assert "Every user may read" not in caplog.text
    await asyncio.to_thread(certificate.key.chmod, 0o644)
    async with serving(chosen):
        assert f"Every user may read the key {certificate.key}: chmod 600 it" in caplog.text


async def test_what_is_no_http_gets_the_headers_of_a_real_server_too(guarded: Settings) -> None:
    async with serving(guarded) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.url.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n")
        answer = (await asyncio.wait_for(reader.read(), PATIENCE)).decode()
        writer.close()
        await writer.wait_closed()
    policy = security.HEADERS["Content-Security-Policy"]
    assert "400 Bad Request" in answer and f"Content-Security-Policy: {policy}\r\n" in answer
