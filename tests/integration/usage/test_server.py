"""A whole server with usage: the rights that it needs, and a day that is condensed and asked for by a user's token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.store import StoredAccounts
from promise_pub.delivery.store import ledger
from promise_pub.errors import RightsMissing
from promise_pub.features.jobs import store as jobs
from promise_pub.features.journal import store as journal
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats import registry as stats
from promise_pub.features.usage import store as usage
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.features.visits import store as visits
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.fake_accounts import QUICK
from tests.roles import role_with
from tests.usage import example
from tests.usage.site import Site
from tests.web_parts import serving, settings, until

OTHERS = (*ledger.NEEDS, *journal.NEEDS, *stats.NEEDS, *visits.NEEDS, *jobs.NEEDS)


async def test_a_server_that_does_not_condense_may_only_read(
    pool: asyncpg.Pool, rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int
) -> None:
    options = settings(rabbit, database, unused_tcp_port, tmp_path)
    async with role_with(pool, database, (*OTHERS, *usage.NEEDS_TO_SHOW)) as ours:
        condensing = replace(options, database=ours)
        with pytest.raises(RightsMissing, match="GRANT .* ON usage_"):
            async with serving(condensing):
                pass
        async with serving(replace(condensing, features={"usage": UsageSettings(enabled=False)})) as server:
            for path in ("/usage", "/usage/login/raw", "/usage/login/plot", "/usage/days/2026-01-05"):
                assert (await server.get(path)).status == 200


async def test_what_was_condensed_is_told_to_operators_alone(
    pool: asyncpg.Pool, rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int
) -> None:
    site = Site(pool, StoredJournal(pool), example.SETTINGS, example.THROUGH)
    await site.log_in(*((actor, at) for _, actor, at in example.logins()))
    await site.condense()
    accounts = StoredAccounts(pool)
    tokens = {role: (await accounts.add_token(role.value, role, days=1))[0] for role in Role}
    options = replace(
        settings(rabbit, database, unused_tcp_port, tmp_path, auth="users"), features={"usage": example.SETTINGS}
    )
    async with serving(options) as server:
        path = "/usage/login/raw?start=2026-01-05&end=2026-02-09&content_type=json"
        found = {
            role: await server.get(path, headers={"Authorization": f"Bearer {token}"}) for role, token in tokens.items()
        }
        assert found[Role.VIEWER].status == 403 and (await server.get(path)).status == 401
        told = found[Role.OPERATOR].json
        assert (told["users"], told["through"]) == (3, "2026-02-06T00:30:00.000Z")
        operator = {"Authorization": f"Bearer {tokens[Role.OPERATOR]}"}
        bokeh = await server.get("/usage/login/plot?content_type=bokeh", headers=operator)
        assert bokeh.status == 200 and bokeh.json["target_id"] == "myplot"
        assert (await server.get("/healthz")).status == 200


async def test_a_login_a_run_and_a_token_are_counted_once_their_day_is_condensed(
    rabbit: RabbitSettings, database: DatabaseSettings, pool: asyncpg.Pool, tmp_path: Path, unused_tcp_port: int
) -> None:
    accounts = StoredAccounts(pool)
    await accounts.add_user("ann", Role.OPERATOR, await Passwords(QUICK).hash("correct horse"))
    token, _ = await accounts.add_token("a script", Role.OPERATOR, days=1)
    script = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    async with serving(settings(rabbit, database, unused_tcp_port, tmp_path, auth="users")) as server:
        for password in ("wrong horse", "correct horse", "correct horse"):
            form = {"name": "ann", "password": password, "next": "/"}
            reply = await server.ask("POST", "/login", data=form, allow_redirects=False)
        ann = {"Cookie": reply.headers["Set-Cookie"].partition(";")[0], "Accept": "application/json"}
        queued = {**ann, "Content-Type": "text/csv", "Prefer": "respond-async"}
        assert (await server.ask("POST", "/simulate/", data=b"a,b@c\n", headers=queued)).status == 202

        async def told(topic: str) -> bool:
            return bool((await server.get(f"/journal?topic=promise-pub.{topic}", headers=script)).json["events"])

        for topic in ("account.login", "account.token_used", "run.queued"):
            await until(lambda topic=topic: told(topic))
        assert (await server.get("/usage/login/raw", headers=script)).json["through"] is None
        run = await server.ask("POST", "/jobs/usage/run", headers=ann)
        assert (run.status, run.json["asked_by"]) == (202, "ann")

        async def is_condensed() -> bool:
            return (await server.get(run.headers["Location"], headers=script)).json["state"] == "completed"

        await until(is_condensed)
        for action, actions in (("login", 2), ("run", 1), ("token", 1)):
            usage = (await server.get(f"/usage/login/raw?action={action}&aggregate=year", headers=script)).json
            assert (usage["users"], sum(one["actions"] for one in usage["periods"])) == (1, actions), action
        page = await server.get("/usage", headers={**ann, "Accept": "text/html"})
        assert page.status == 200 and "Condense now" in page.text
