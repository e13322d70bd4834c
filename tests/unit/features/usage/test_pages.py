"""Usage as pages, JSON, CSV, text and pictures, as they are described; how it is asked, and by whom."""

from __future__ import annotations

import csv
import io
import re
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.usage.records import Action, Aggregate, Period, Question, Usage
from promise_pub.features.usage.report import COLUMNS
from promise_pub.features.usage.settings import UsageSettings
from tests.fake_accounts import QUICK, FakeAccounts
from tests.unit.features.usage.conftest import PAGE, Seen
from tests.usage.fake_usage import FakeUsage, logins, on, with_services
from tests.web_house import JSON, Client, House, check_described

EVIL = '<script>alert(1)</script>\x1b[31m\u202e"'
RANGE = "start=2026-01-01&end=2026-02-01"
MODES = ("", "/raw", "/plot")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def fill(usage: FakeUsage) -> None:
    """Ann and Bob in January; condensed up to one o'clock on the 30th."""
    usage.add(logins("ann", *(date(2026, 1, day) for day in (5, 5, 7, 29))), on(date(2026, 1, 30), 1))
    usage.add(logins("bob", date(2026, 1, 7)), on(date(2026, 1, 30), 1))
    usage.add(logins("admin", date(2026, 1, 9)), on(date(2026, 1, 30), 1))


async def test_the_report_has_every_period_of_the_range(seen: Seen) -> None:
    fill(seen.usage)
    for path in ("/usage", "/usage/login", "/usage/login/raw"):
        told = await seen.json(f"{path}?{RANGE}&aggregate=W")
        check_described(seen.client, "Usage", told)
        assert {name: told[name] for name in told if name != "periods"} == {
            "action": "login",
            "aggregate": "week",
            "rolling": 0,
            "timezone": "UTC",
            "start": "2026-01-01",
            "end": "2026-02-01",
            "through": "2026-01-30T01:00:00.000Z",
            "excluded": ["admin"],
            "users": 2,
            "zone_changes": [],
        }
        assert [(one["period"], one["users"], one["actions"], one["complete"]) for one in told["periods"]] == [
            # Empty ones at both ends, and what is cut or goes on is no whole one.
            ("2026-W01", 0, 0, False),
            ("2026-W02", 2, 4, True),
            ("2026-W03", 0, 0, True),
            ("2026-W04", 0, 0, True),
            ("2026-W05", 1, 1, False),
        ]
        # Named as in ISO 8601, from its Monday to before the next one.
        assert told["periods"][1] == {
            "period": "2026-W02",
            "start": "2026-01-05",
            "end": "2026-01-12",
            "users": 2,
            "actions": 4,
            "complete": True,
        }


@pytest.mark.parametrize(
    "written", [*Aggregate, *(one[0] for one in Aggregate), *(one[0].upper() for one in Aggregate)]
)
async def test_every_aggregate_is_told_in_every_spelling(seen: Seen, written: str) -> None:
    fill(seen.usage)
    told = await seen.json(f"/usage/login/raw?start=2026-01-01&end=2027-01-01&aggregate={written}")
    number = {"day": 365, "week": 53, "month": 12, "quarter": 4, "year": 1}
    assert len(told["periods"]) == number[told["aggregate"]] and told["aggregate"][0] == written[0].lower()


async def test_without_anybody_each_face_tells_nothing_and_the_page_why(seen: Seen) -> None:
    """No login in the range is an answer."""
    told = await seen.json("/usage/login/raw")
    check_described(seen.client, "Usage", told)
    assert told["users"] == 0 and told["through"] is None and len(told["periods"]) >= 13
    assert not any(one["users"] or one["complete"] for one in told["periods"])
    for path in ("/usage/login/raw?format=csv", "/usage/login/raw?format=text", "/usage/login/plot?format=svg"):
        assert (await seen.get(path)).status == 200
    check_described(seen.client, "UsagePlot", await seen.json("/usage/login/plot"))
    text = await seen.text("/usage")
    assert "Nobody logs in here, as [server] auth is off" in text and "Nothing was condensed yet" in text
    assert "promise-pub jobs run usage" in text and "<svg" not in text.split("<main")[1]
    seen.usage.add([], datetime.now(UTC))
    assert "Nothing was condensed yet" not in await seen.text("/usage")


async def test_the_page_and_the_raw_face_agree(seen: Seen) -> None:
    """The page and the raw face have today, both or neither."""
    today = datetime.now(UTC)
    seen.usage.add([(Action.LOGIN, "ann", today)], today + timedelta(seconds=1))
    faces = [(await seen.json(f"/usage/login{mode}?aggregate=day")) for mode in ("", "/raw")]
    assert faces[0] == faces[1] and faces[0]["periods"][-1]["users"] == 1
    row = f'<td><a href="/usage/days/{today:%Y-%m-%d}?action=login">{today:%Y-%m-%d}</a></td>'
    assert row in await seen.text("/usage?aggregate=day")


async def test_the_page_has_the_last_whole_days_bars_table_and_ways_to_each_face(seen: Seen) -> None:
    fill(seen.usage)
    text = await seen.text(f"/usage?{RANGE}&aggregate=day")
    figures = re.findall(r"<dd>(\d+)</dd>", text)
    assert figures == ["1", "1", "2"], "of the 29th, of the 7 and of the 30 days that end with it"
    assert '/usage/days/2026-01-29?action=login">2026-01-29</a>' in text
    assert 'class="usage"' in text and "url(#hatched)" in text
    assert "Through 2026-01-30 01:00 · next " in text and " 01:30 · days of UTC · without admin" in text
    assert "2 different users from 2026-01-01 to before 2026-02-01." in text
    links = re.findall(r'href="(/usage/login[^"]*)"', text)
    for link in links:
        assert (await seen.get(link.replace("&amp;", "&"))).status == 200, link
    assert {link.partition("format=")[2] for link in links} >= {"csv", "json", "text", "svg"}
    assert all("start=2026-01-01" in link for link in links if "format=" in link)
    assert 'action="/jobs/usage/run" method="post"' in text and "Condense now" in text


async def test_a_zone_that_changed_is_told(seen: Seen) -> None:
    fill(seen.usage)
    seen.usage.zone_changes = [(date(2026, 1, 20), "Europe/Berlin")]
    assert "From 2026-01-20 on days are those of Europe/Berlin." in await seen.text(f"/usage?{RANGE}")
    told = await seen.json(f"/usage/login/raw?{RANGE}")
    check_described(seen.client, "Usage", told)
    assert told["zone_changes"] == [{"day": "2026-01-20", "timezone": "Europe/Berlin"}]


async def test_modes_are_page_plot_and_raw_and_no_others(seen: Seen) -> None:
    fill(seen.usage)
    text = {mode: await seen.text(f"/usage/login{mode}?{RANGE}") for mode in MODES}
    assert [("<form" in one, "<svg" in one.split("<main")[1], "<table" in one) for one in text.values()] == [
        (True, True, True),
        (False, False, True),
        (False, True, True),
    ]
    for path in ("/usage/login/pie", "/usage/logins", "/usage/login/plot/raw"):
        assert (await seen.get(path)).status == 404


async def test_content_type_goes_before_accept_and_has_to_agree_with_format(seen: Seen) -> None:
    fill(seen.usage)
    kinds = {"html": "text/html", "json": "application/json", "csv": "text/csv", "text": "text/plain"}
    for name, kind in kinds.items():
        for query in (f"content_type={name}", f"format={name}", f"content_type={name}&format={name}"):
            answer = await seen.get(f"/usage/login/raw?{query}", Accept="application/json, text/html")
            assert (answer.status, answer.content_type) == (200, kind)
        answer = await seen.get("/usage/login/raw", Accept=kind)
        assert (answer.content_type, answer.headers["Vary"]) == (kind, "Accept")
    assert (await seen.get("/usage/login/plot", Accept="image/svg+xml")).content_type == "image/svg+xml"
    for query in ("content_type=csv&format=json", "content_type=xlsx", "format=svg", "content_type=bokeh"):
        answer = await seen.get(f"/usage/login/raw?{query}")
        assert answer.status == 400 and "one of html, json, csv, text" in await answer.text(), query


async def test_an_error_has_the_format_that_is_named(seen: Seen) -> None:
    answer = await seen.ask("POST", "/usage/login", data={"content_type": "json", "aggregate": "1s"})
    assert answer.status == 400 and (await answer.json())["code"] == "bad_parameter"


async def test_csv_and_text_have_the_same_table(seen: Seen) -> None:
    fill(seen.usage)
    rows = [*csv.reader(io.StringIO(await seen.text(f"/usage/login/raw?{RANGE}&format=csv")))]
    assert rows[0] == [*COLUMNS] and rows[2] == ["2026-W02", "2026-01-05", "2026-01-12", "2", "4", "True"]
    lines = (await seen.text(f"/usage/login/raw?{RANGE}&format=text")).splitlines()
    assert lines[:2] == ["Users who logged in, by week", "2 different users from 2026-01-01 to before 2026-02-01."]
    table = lines[lines.index("") + 1 :]
    assert table[0] == "period    start       end         users  actions  complete"
    assert table[2] == "2026-W02  2026-01-05  2026-01-12      2        4  yes"
    assert len(table) == len(rows)


async def test_a_question_can_be_posted_as_a_form_or_as_json(seen: Seen) -> None:
    fill(seen.usage)
    asked = {"start": "2026-01-01T00:00:00+05:00", "end": "2026-02-01", "rolling": "7"}
    wanted = await seen.json("/usage/login/raw?start=2025-12-31&end=2026-02-01&rolling=7")
    for mode in ("", "/raw"):
        path = f"/usage/login{mode}"
        form = await seen.ask("POST", path, JSON, data=asked)
        body = await seen.ask("POST", path, JSON, json=asked | {"rolling": 7})
        assert (form.status, body.status) == (200, 200)
        assert await form.json() == await body.json() == wanted
    picture = await seen.ask("POST", "/usage/login/plot", data={**asked, "content_type": "svg"})
    assert picture.content_type == "image/svg+xml"
    asking = await seen.ask("POST", "/usage/login?aggregate=day", data={"aggregate": "day"})
    assert asking.status == 400 and "aggregate is given more than once" in await asking.text()
    large = await seen.ask("POST", "/usage/login", data={"start": "x" * 20_000})
    assert large.status == 400 and "over the limit" in await large.text()


async def test_posts_of_other_sites_are_refused(seen: Seen) -> None:
    answer = await seen.ask("POST", "/usage/login", PAGE | {"Sec-Fetch-Site": "cross-site"}, data={})
    assert answer.status == 403


async def test_passwords_and_tokens_are_no_parameters(seen: Seen) -> None:
    for name in ("username", "password", "token", "since"):
        answer = await seen.get(f"/usage/login/raw?{name}=secret", **JSON)
        told = await answer.json()
        assert answer.status == 400 and told["code"] == "bad_parameter"
        assert "start, end, aggregate, rolling, action" in told["detail"] and "secret" not in told["detail"]


@pytest.mark.parametrize("path", ["/usage", "/usage/login/raw", "/usage/login/plot", "/usage/days/2026-01-05"])
async def test_the_database_may_be_away(seen: Seen, path: str) -> None:
    seen.usage.away = DatabaseUnavailable("It is away.")
    answer = await seen.get(path, **JSON)
    assert answer.status == 503 and (await answer.json())["code"] == "database_unavailable"


async def test_the_picture_is_a_file_without_rules_and_scripts_that_says_what_it_shows(seen: Seen) -> None:
    """The axis has the unit that is counted, and nothing is loaded from elsewhere."""
    fill(seen.usage)
    text = await seen.text(f"/usage/login/plot?{RANGE}&aggregate=day&format=svg")
    svg = ElementTree.fromstring(text)
    assert "<style" not in text and "style=" not in text and "<script" not in text
    assert not re.search(r'(href|src)="', text) and re.findall(r"https?://[^\"]+", text) == [
        "http://www.w3.org/2000/svg"
    ]
    titles = [one.text for one in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "Users who logged in, by day" and "2026-01-05: 1 user, 2 actions" in titles
    words = [one.text for one in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "users" in words and "week" not in words
    told = await seen.json(f"/usage/login/plot?{RANGE}&aggregate=month&action=token")
    check_described(seen.client, "UsagePlot", told)
    assert told == {
        "title": "Tokens that were used, by month",
        "unit": "tokens",
        "labels": ["2026-01"],
        "values": [0],
        "complete": [False],
    }


async def test_bokeh_gives_its_item_where_it_is_installed(seen: Seen) -> None:
    pytest.importorskip("bokeh")
    fill(seen.usage)
    answer = await seen.get(f"/usage/login/plot?{RANGE}&content_type=bokeh")
    told = await answer.json()
    assert answer.status == 200 and answer.content_type == "application/json"
    assert told["target_id"] == "myplot" and told["root_id"] and told["doc"]
    text = await answer.text()
    assert "2026-W02" in text and "cdn" not in text


async def test_without_bokeh_there_is_advice(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "bokeh"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh", None)
    answer = await seen.get("/usage/login/plot?content_type=bokeh", **JSON)
    told = await answer.json()
    assert (answer.status, told["code"]) == (404, "bokeh_missing") and "promise-pub[bokeh]" in told["advice"]


async def test_a_day_tells_who_how_often_first_and_last(seen: Seen) -> None:
    fill(seen.usage)
    seen.usage.add(logins(EVIL, date(2026, 1, 9)), on(date(2026, 1, 30), 1))
    told = await seen.json("/usage/days/2026-01-05")
    check_described(seen.client, "UsageDay", told)
    noon = "2026-01-05T12:00:00Z"
    assert told["people"] == [{"user": "ann", "times": 2, "first": noon, "last": noon, "counted": True}]
    assert told["complete"] is True and told["users"] == 1
    told = await seen.json("/usage/days/2026-01-09")
    assert told["users"] == 1 and {(one["user"], one["counted"]) for one in told["people"]} == {
        (EVIL, True),
        ("admin", False),
    }
    text = await seen.text("/usage/days/2026-01-09")
    assert "<script>alert" not in text and "\x1b" not in text and "not counted" in text
    plain = await seen.text("/usage/days/2026-01-09?format=text")
    assert "\x1b" not in plain and "admin" in plain
    rows = [*csv.reader(io.StringIO(await seen.text("/usage/days/2026-01-09?format=csv")))]
    assert rows[0] == ["user", "times", "first", "last", "counted"] and len(rows) == 3
    assert (await seen.json("/usage/days/2026-01-30"))["complete"] is False
    assert "not condensed to its end" in await seen.text("/usage/days/2026-01-30")
    assert "Nobody on this day" in await seen.text("/usage/days/2026-01-06?action=run")
    for path in ("monday", "2026-02-30", "1900-01-01"):
        answer = await seen.get(f"/usage/days/{path}", **JSON)
        assert answer.status == 400 and (await answer.json())["detail"].startswith("day must be")


async def test_where_it_is_not_condensed_the_page_says_so_and_has_no_button(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    usage = FakeUsage(UsageSettings(enabled=False, exclude=(), timezone=ZoneInfo("Asia/Kathmandu")))
    house = House(tmp_path)
    async with house.runs:
        client = await aiohttp_client(house.app(with_services(usage)))
        text = await (await client.get("/usage", headers=PAGE)).text()
    assert "[usage] enabled is no" in text and "Condense now" not in text and "days of Asia/Kathmandu" in text
    assert "without" not in text.split("<main")[1].split("</p>")[0]


async def test_usage_is_for_operators_and_their_page_says_that_users_log_in(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    accounts = FakeAccounts()
    tokens = {role: (await accounts.add_token(f"{role}-token", role, 1))[0] for role in Role}
    authenticator = Authenticator(accounts, SessionSigner(b"k" * 32, 12), Passwords(QUICK), LoginAttempts())
    house, usage = House(tmp_path), FakeUsage()
    async with house.runs:
        client = await aiohttp_client(house.app(with_services(usage), authenticator=authenticator))
        paths = ["/usage", *(f"/usage/login{mode}" for mode in MODES), "/usage/days/2026-01-05"]
        for path in paths:
            for method in ("GET", "POST") if path.startswith("/usage/login") else ("GET",):
                found = {
                    role: (
                        await client.request(method, path, headers=JSON | {"Authorization": f"Bearer {token}"})
                    ).status
                    for role, token in tokens.items()
                }
                assert found == {Role.VIEWER: 403, Role.OPERATOR: 200}
                unknown = await client.request(method, f"{path}?token={tokens[Role.OPERATOR]}", headers=JSON)
                assert unknown.status == 401, "neither is a parameter"
        for role, token in tokens.items():
            text = await (await client.get("/", headers=PAGE | {"Authorization": f"Bearer {token}"})).text()
            assert ('href="/usage"' in text) is (role is Role.OPERATOR)
        operator = PAGE | {"Authorization": f"Bearer {tokens[Role.OPERATOR]}"}
        usage.add([], datetime.now(UTC))
        text = await (await client.get("/usage", headers=operator)).text()
        assert "There were none in this range." in text and "Nobody logs in here" not in text


async def test_a_whole_day_of_many_people_is_bounded_on_its_page_alone(seen: Seen) -> None:
    day = date(2026, 1, 5)
    usual = [one for n in range(1_500) for one in logins(f"user-{n:04}", day)]
    seen.usage.add(usual, on(day, 48))
    text = await seen.text("/usage/days/2026-01-05")
    assert text.count('<td class="name">') == 1_000 and "The first 1,000 of 1,500" in text
    assert len((await seen.json("/usage/days/2026-01-05"))["people"]) == 1_500


class Noting(list[Period]):
    """Periods that note which thread goes through them."""

    threads: set[threading.Thread]

    def __iter__(self) -> Iterator[Period]:
        self.threads.add(threading.current_thread())
        return super().__iter__()

    def __reversed__(self) -> Iterator[Period]:
        return iter([*self][::-1])


@pytest.mark.parametrize(
    "face", ["?format=html", "?format=csv", "/raw?format=json", "/raw?format=text", "/plot?format=json"]
)
async def test_no_face_goes_through_periods_on_the_event_loop(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    fill(seen.usage)
    count, threads = seen.usage.count, set[threading.Thread]()

    async def counted(question: Question) -> Usage:
        found = await count(question)
        noting = Noting(found.periods)
        noting.threads = threads
        return replace(found, periods=noting)

    monkeypatch.setattr(seen.usage, "count", counted)
    await seen.text(f"/usage/login{face}&{RANGE}")
    assert threads and threading.main_thread() not in threads
