"""The configuration says how the database is reached: no variable of libpq's, and no file in anybody's home."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from promise_pub import db
from promise_pub.errors import DatabaseRefused, DatabaseUnavailable
from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts
from tests.integration import stacks
from tests.services import StartCommand
from tests.tls import SSL_REQUEST, make_certificate, tls_before
from tests.web_parts import client, settings

HOSTILE: Mapping[str, str] = {
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1,2",
    "PGDATABASE": "nope",
    "PGUSER": "nobody_there",
    "PGPASSWORD": "wrong",
    "PGPASSFILE": "{home}/.pgpass",
    "PGSERVICE": "hostile",
    "PGSERVICEFILE": "{home}/.pg_service.conf",
    "PGSYSCONFDIR": "{home}",
    "PGSSLMODE": "verify-full",
    "PGREQUIRESSL": "1",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLCERT": "{home}/none.crt",
    "PGSSLKEY": "{home}/none.key",
    "PGSSLROOTCERT": "{home}/.postgresql/root.crt",
    "PGSSLCRL": "{home}/none.crl",
    "PGSSLCRLDIR": "{home}/none",
    "PGSSLSNI": "0",
    "PGSSLMINPROTOCOLVERSION": "TLSv9",
    "PGSSLMAXPROTOCOLVERSION": "SSLv3",
    "PGREQUIREAUTH": "none",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGKRBSRVNAME": "hostile",
    "PGGSSLIB": "neither",
    "PGGSSDELEGATION": "1",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "random",
    "PGCONNECT_TIMEOUT": "0",
    "PGCLIENTENCODING": "LATIN1",
    "PGOPTIONS": "-c default_transaction_read_only=on",
    "PGAPPNAME": "hostile",
    "PGTZ": "nowhere",
    "PGDATESTYLE": "nonsense",
}
"""Every variable that libpq or asyncpg knows, with a value that would lead astray, or to an error."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose files lead astray."""
    folder = tmp_path / "home"
    (folder / ".postgresql").mkdir(parents=True)
    (folder / ".pgpass").write_text("*:*:*:*:wrong\n", encoding="utf-8")
    (folder / ".pgpass").chmod(0o600)
    (folder / ".pg_service.conf").write_text("[hostile]\nhost=nowhere.invalid\n", encoding="utf-8")
    for name in ("root.crt", "root.crl", "postgresql.crt", "postgresql.key"):
        (folder / ".postgresql" / name).write_text("no certificate\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(folder))
    return folder


def hostile(home: Path) -> dict[str, str]:
    return {name: value.format(home=home) for name, value in HOSTILE.items()}


async def reach(database: DatabaseSettings) -> None:
    async with db.open_pool(database, max_size=1) as pool:
        row = await pool.fetchrow(
            "SELECT current_database(), current_user, current_setting('application_name'), "
            "current_setting('default_transaction_read_only'), current_setting('client_encoding')"
        )
    assert tuple(row) == (database.dbname, database.user, "promise-pub", "off", "UTF8")


@pytest.mark.parametrize("variable", [*HOSTILE, "HOME"])
async def test_no_variable_changes_how_the_database_is_reached(
    database: DatabaseSettings, home: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    if variable in HOSTILE:
        monkeypatch.setenv(variable, HOSTILE[variable].format(home=home))
    await reach(database)


async def test_a_password_that_is_configured_empty_stays_empty(
    database: DatabaseSettings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".pgpass").write_text(f"*:*:*:*:{database.password}\n", encoding="utf-8")
    for name in (None, "PGPASSWORD"):
        if name:
            monkeypatch.setenv(name, database.password)
        with pytest.raises(DatabaseRefused, match="password"):
            await reach(replace(database, password=""))


async def test_without_ssl_nobody_is_asked_for_tls(database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "prefer")
    first: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first.append(await reader.readexactly(8))
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(DatabaseUnavailable):
            await reach(replace(database, host="127.0.0.1", port=port))
    assert first and SSL_REQUEST not in first


async def test_with_ssl_the_configured_authority_decides(
    database: DatabaseSettings, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = make_certificate(tmp_path, "IP:127.0.0.1")
    others = make_certificate(tmp_path, "DNS:other.example")
    for name, value in hostile(home).items():
        monkeypatch.setenv(name, value)
    tls = replace(database, host="127.0.0.1", ssl=True)
    async with tls_before(database.host, database.port, ours, postgresql=True) as proxy:
        await reach(replace(tls, port=proxy.port, ca_certificate=ours.file))
        assert proxy.encrypted > 0
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGSSLROOTCERT", str(others.file))
    async with tls_before(database.host, database.port, others, postgresql=True) as proxy:
        for authority in (ours.file, others.file):  # not trusted; and trusted, as another host's
            with pytest.raises(DatabaseUnavailable, match="(?i)certificate"):
                await reach(replace(tls, port=proxy.port, ca_certificate=authority))
        assert proxy.encrypted == 0


async def test_a_server_goes_its_way_whatever_the_shell_says_of_databases_and_proxies(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    settings_file: Callable[[Settings], Path],
    start_process: StartCommand,
    home: Path,
    tmp_path: Path,
) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login a password b\n", encoding="utf-8")
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
    shell = {**hostile(home), **proxies, "HOME": str(home), "NETRC": str(home / ".netrc")}
    async with consumer_parts.bundled(rabbit, database) as consumer:
        configured = settings_file(settings(rabbit, database, consumer, tmp_path))
        server = await start_process("serve", "-c", configured, env=shell)
        url = (await server.wait_for(r"on (http://\S+)"))[1]
        async with client() as http, http.get(f"{url}/readyz") as answer:
            assert (await answer.json())["ready"], await answer.text()
        assert await server.stop() == 0


@pytest.mark.usefixtures("nothing_left")
async def test_the_local_database_starts_whatever_the_shell_says_of_databases(
    state: Path, home: Path, rabbit: RabbitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hostile(home).items():
        monkeypatch.setenv(name, value)
    async with stacks.stack(state, stacks.all_but("database", rabbit=rabbit)) as started:
        await reach(started.database)
