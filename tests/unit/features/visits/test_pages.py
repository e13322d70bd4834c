"""The record of visits as a page, as JSON and as CSV; and who may see it."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.addresses import Address
from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.visits import web as visits_pages
from promise_pub.features.visits.feature import with_services
from promise_pub.features.visits.hits import HIT_COLUMNS
from promise_pub.features.visits.importing import read_hits
from promise_pub.features.visits.report import SESSION_COLUMNS
from promise_pub.http.responses import as_json
from promise_pub.settings.casts import networks
from tests.fake_accounts import QUICK, FakeAccounts
from tests.visits.fake_visits import FakeVisits, a_hit
from tests.web_house import JSON, Client, House, check_described

NOW = datetime.now(UTC)
ONE, OTHER = UUID(int=1), UUID(int=2)
PAGE = {"Accept": "text/html"}
CLIENT: dict[str, Any] = {"user_agent": '<b>"Mozilla"</b>', "status": 200, "method": "GET"}


def address(text: str) -> Address:
    return networks(text)[0].network_address


class Seen:
    def __init__(self, visits: FakeVisits) -> None:
        self.visits = visits
        self.client: Client

    async def get(self, path: str, **headers: str) -> Any:
        answer = await self.client.get(path, headers={**PAGE, **headers}, allow_redirects=False)
        await answer.read()
        return answer

    async def json(self, path: str) -> Any:
        answer = await self.get(path, **JSON)
        assert answer.status == 200
        return await answer.json()


@pytest.fixture
async def seen(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[Seen]:
    """Two sessions: one that ended a day ago, and one that goes."""
    house, visits = House(tmp_path), FakeVisits()
    for minute, shown in enumerate(("/", "/runs", "/runs/{id}", "/")):
        at = NOW - timedelta(days=1, minutes=10 - minute)
        await visits.add_hits([a_hit(ONE, at, shown, path=shown, ip=address("203.0.113.5"), **CLIENT)])
    await visits.add_hits([a_hit(OTHER, NOW, "/<script>", headers='[["A", "1"], ["A", "2"]]')])
    made = Seen(visits)
    async with house.runs:
        app = house.app(with_services(visits))  # type: ignore[arg-type]
        made.client = await aiohttp_client(app)
        yield made


async def test_the_record_as_json_is_what_is_described(seen: Seen) -> None:
    told = await seen.json("/visits")
    check_described(seen.client, "Visits", told)
    newest, oldest = told["sessions"]
    assert (newest["session_id"], newest["ended"], newest["hits"]) == (str(OTHER), False, 1)
    assert (oldest["session_id"], oldest["ended"], oldest["hits"]) == (str(ONE), True, 4)
    assert (oldest["pages"], oldest["ip"]) == (3, "203.0.113.5")
    assert told["recording"] is None, "this server notes nothing"
    transitions = told["transitions"]
    assert (transitions["sessions"], transitions["ended"], transitions["hits"]) == (2, 1, 5)
    steps = {(one["from"], one["to"]): one["probability"] for one in transitions["transitions"]}
    assert steps == {
        ("/", "/runs"): 0.5,
        ("/", "exit"): 0.5,
        ("/runs", "/runs/{id}"): 1,
        ("/runs/{id}", "/"): 1,
    }


async def test_a_session_as_json_is_what_is_described(seen: Seen) -> None:
    told = await seen.json(f"/visits/{ONE}")
    check_described(seen.client, "Visit", told)
    assert [hit["page"] for hit in told["hits"]] == ["/", "/runs", "/runs/{id}", "/"]
    assert told["transitions"]["session_id"] == told["session"]["session_id"] == str(ONE)
    told = await seen.json(f"/visits/{OTHER}")
    check_described(seen.client, "Visit", told)
    assert told["hits"][0]["headers"] == [["A", "1"], ["A", "2"]]
    assert told["transitions"]["bounce_rate"] is None


async def test_the_sessions_as_csv(seen: Seen) -> None:
    answer = await seen.get("/visits?format=csv")
    assert answer.content_type == "text/csv" and answer.headers["X-Total-Count"] == "2"
    header, *rows = csv.reader(io.StringIO(await answer.text()))
    assert tuple(header) == SESSION_COLUMNS
    assert [row[0] for row in rows] == [str(OTHER), str(ONE)]


async def test_a_session_as_csv_can_be_imported(seen: Seen, tmp_path: Path) -> None:
    answer = await seen.get(f"/visits/{ONE}?format=csv")
    text = await answer.text()
    assert tuple(next(csv.reader(io.StringIO(text)))) == HIT_COLUMNS
    file = tmp_path / "hits.csv"
    file.write_text(text)
    [hits] = read_hits(file)
    assert hits == (await seen.visits.get_session(ONE))[1]


async def test_the_page_shows_sessions_and_a_picture(seen: Seen) -> None:
    answer = await seen.get("/visits")
    text = await answer.text()
    assert answer.status == 200 and "<svg" in text and "No visits yet" not in text
    assert "203.0.113.5" in text and f'href="/visits/{ONE}"' in text
    assert '<a href="/visits" aria-current="page">Visits</a>' in text
    assert "&lt;script&gt;" in text and "/<script>" not in text and "<b>" not in text
    assert "style=" not in text and "This server records no visits" in text
    answer = await seen.get(f"/visits/{ONE}")
    text = await answer.text()
    assert answer.status == 200 and "<svg" in text and text.count("<time") == 6
    assert '<a href="/visits" aria-current="true">Visits</a>' in text


@pytest.mark.parametrize(
    ("path", "maker"),
    [
        ("/visits", "page"),
        ("/visits?format=json", "as_json"),
        (f"/visits/{ONE}", "page"),
        (f"/visits/{ONE}?format=json", "as_json"),
        (f"/visits/{ONE}?format=csv", "as_csv"),
    ],
)
async def test_what_may_be_long_is_not_made_on_the_loop(
    path: str, maker: str, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, make = [], getattr(visits_pages, maker)

    def made(*parameters: Any) -> Any:
        threads.append(threading.current_thread())
        return make(*parameters)

    monkeypatch.setattr(visits_pages, maker, made)
    assert (await seen.get(path)).status == 200
    assert threads and threading.main_thread() not in threads


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        None,
        "\N{CRAB}",
        [1, {"a": [None]}],
        {'\N{CRAB}"': ["\N{CRAB}", {"x": [1]}], "b": {"c": [1, 2], "d": {"e": [True]}}, "f": []},
        {1: [2], None: 3},
    ],
)
def test_json_in_pieces_is_the_same_json(data: Any) -> None:
    assert as_json(data).text == json.dumps(data, ensure_ascii=False)


def test_what_comes_one_by_one_is_a_list_in_json() -> None:
    assert as_json({"a": iter([1, 2]), "b": iter([])}).text == '{"a": [1, 2], "b": []}'


async def test_without_hits_the_page_says_so(seen: Seen) -> None:
    seen.visits.hits.clear()
    assert "Visits are not recorded." in await (await seen.get("/visits")).text()
    told = await seen.json("/visits")
    check_described(seen.client, "Visits", told)
    assert told["sessions"] == [] and told["transitions"]["hits"] == 0
    assert (await (await seen.get("/visits?format=csv")).text()).count("\n") == 1


async def test_sessions_come_a_page_at_a_time(seen: Seen) -> None:
    answer = await seen.get("/visits?per_page=1&page=2", **JSON)
    (one,) = (await answer.json())["sessions"]
    assert one["session_id"] == str(ONE) and answer.headers["X-Total-Count"] == "2"
    assert answer.headers["Link"] == (
        '</visits?page=1&per_page=1>; rel="first", </visits?page=1&per_page=1>; rel="prev"'
    )
    behind = await (await seen.get("/visits?per_page=1&page=9")).text()
    assert "There is no page 9" in behind


@pytest.mark.parametrize(("since", "sessions", "hits"), [("", 2, 5), ("7d", 2, 5), ("1h", 1, 1), ("2000-01-01", 2, 5)])
async def test_only_what_came_since_then_counts(seen: Seen, since: str, sessions: int, hits: int) -> None:
    told = await seen.json(f"/visits?since={since}")
    assert len(told["sessions"]) == sessions and told["transitions"]["hits"] == hits
    text = await (await seen.get(f"/visits?since={since}")).text()
    assert re.search(rf'<option value="{since}" selected>', text)
    empty = await (await seen.get("/visits?since=2999-01-01")).text()
    assert "No visits in this period." in empty


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/visits?since=yesterday", 400, "bad_parameter"),
        ("/visits?page=0", 400, "bad_parameter"),
        ("/visits?per_page=501", 400, "bad_parameter"),
        ("/visits?session=1", 400, "bad_parameter"),
        ("/visits?since=1h&since=2h", 400, "bad_parameter"),
        (f"/visits/{ONE}?page=1", 400, "bad_parameter"),
        (f"/visits/{UUID(int=3)}", 404, "session_not_found"),
        ("/visits/nonsense", 404, "session_not_found"),
    ],
)
async def test_what_cannot_be_answered_is_told(seen: Seen, path: str, status: int, code: str) -> None:
    answer = await seen.get(path, **JSON)
    assert (answer.status, (await answer.json())["code"]) == (status, code)
    assert (await seen.get(path)).status == status


async def test_with_the_database_away_it_says_so(seen: Seen) -> None:
    seen.visits.away = DatabaseUnavailable()
    for path in ("/visits", f"/visits/{ONE}"):
        answer = await seen.get(path)
        assert answer.status == 503 and answer.headers["Retry-After"]


async def test_only_operators_see_it_where_users_log_in(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    house, accounts, visits = House(tmp_path), FakeAccounts(), FakeVisits()
    await visits.add_hits([a_hit(ONE)])
    authenticator = Authenticator(accounts, SessionSigner(b"k" * 32, hours=12), Passwords(QUICK), LoginAttempts())
    tokens = {role: (await accounts.add_token(role.value, role, 1))[0] for role in Role}
    async with house.runs:
        client = await aiohttp_client(
            house.app(with_services(visits), authenticator=authenticator)  # type: ignore[arg-type]
        )
        for path in ("/visits", f"/visits/{ONE}"):
            for face in ("html", "json", "csv"):
                for role, status in ((Role.VIEWER, 403), (Role.OPERATOR, 200)):
                    bearer = {"Authorization": f"Bearer {tokens[role]}"}
                    answer = await client.get(f"{path}?format={face}", headers=bearer)
                    assert answer.status == status, (path, face, role)
            assert (await client.get(path, headers=JSON)).status == 401
        for role, led in ((Role.VIEWER, False), (Role.OPERATOR, True)):
            bearer = {"Authorization": f"Bearer {tokens[role]}", **PAGE}
            text = await (await client.get("/runs", headers=bearer)).text()
            assert ('href="/visits"' in text) is led
