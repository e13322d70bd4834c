"""The journal as a page, as JSON, CSV and JSON lines; and who may see it."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.journal.feature import with_services
from promise_pub.features.journal.importing import parse_line
from promise_pub.features.journal.report import COLUMNS
from tests.fake_accounts import QUICK, FakeAccounts
from tests.journal.fake_reader import NOW, FakeReader, a_new_event
from tests.unit.features.journal.conftest import PAGE, Seen
from tests.web_house import JSON, Client, House, check_described

EVIL = "<script>alert(1)</script>\x1b[31m\u202e"


def numbers(told: Any) -> list[int]:
    return [event["seq"] for event in told["events"]]


def next_of(answer: Any) -> str | None:
    link = answer.links.get("next")
    return str(link["url"].relative()) if link else None


async def test_the_newest_events_come_first_as_is_described(seen: Seen) -> None:
    await seen.journal.add(
        a_new_event(subject="7b0e", actor="ann", sender="promise-pub", message_id="1", content_type="application/json"),
        a_new_event("deploy", b"\xff\x00", source="bus", headers={"x": [1]}),
    )
    told = await seen.json("/journal")
    check_described(seen.client, "JournalEvents", told)
    newest, oldest = told["events"]
    assert (told["next"], told["oldest"], told["newest"]) == (None, 1, 2)
    assert oldest == {
        "seq": 1,
        "at": "2026-11-24T12:00:00.123456Z",
        "received_at": "2026-11-24T12:00:00.123456Z",
        "source": "own",
        "topic": "run.ended",
        "sender": "promise-pub",
        "subject": "7b0e",
        "actor": "ann",
        "message_id": "1",
        "content_type": "application/json",
        "headers": {},
        "size": 8,
        "data": {"a": 1},
    }
    assert (newest["seq"], newest["data"], newest["size"], newest["headers"]) == (2, None, 2, {"x": [1]})
    one = await seen.json("/journal/1")
    check_described(seen.client, "JournalEvent", one)
    assert one == oldest


async def test_every_event_is_found_once_by_following_the_links_in_either_direction(seen: Seen) -> None:
    await seen.journal.add(*(a_new_event() for _ in range(25)))
    for path, expected in (("/journal?limit=10", [*range(25, 0, -1)]), ("/journal?limit=10&after=0", [*range(1, 26)])):
        found: list[int] = []
        url: str | None = f"{path}&format=json"
        while url:
            answer = await seen.get(url)
            found += numbers(await answer.json())
            assert (answer.headers["X-Journal-Oldest"], answer.headers["X-Journal-Newest"]) == ("1", "25")
            url = next_of(answer)
            assert url is None or "limit=10" in url and "format=json" in url
        assert found == expected


async def test_the_way_back_leads_to_the_events_beside(seen: Seen) -> None:
    await seen.journal.add(*(a_new_event() for _ in range(25)))
    newest = await seen.get("/journal?limit=10&format=json")
    assert "prev" not in newest.links
    older = await seen.get("/journal?limit=10&format=json&before=16")
    assert numbers(await (await seen.get(str(older.links["prev"]["url"].relative()))).json()) == [*range(16, 26)]
    later = await seen.get("/journal?limit=10&format=json&after=10")
    assert numbers(await (await seen.get(str(later.links["prev"]["url"].relative()))).json()) == [*range(10, 0, -1)]
    assert "prev" not in (await seen.get("/journal?format=json&after=0")).links


async def test_a_search_that_stopped_says_where_to_go_on(seen: Seen) -> None:
    seen.journal._most_seen = 10
    await seen.journal.add(a_new_event("rare"), *(a_new_event() for _ in range(24)))
    answer = await seen.get("/journal?topic=rare&sender=&format=json")
    told = await answer.json()
    assert (told["events"], told["next"]) == ([], 16)
    assert next_of(answer) == "/journal?topic=rare&format=json&before=16"
    text = await seen.text("/journal?topic=rare")
    assert "Search on" in text and 'href="/journal?topic=rare&amp;before=16"' in text
    found = await seen.text("/journal?topic=rare&before=6")
    assert 'href="/journal/1"' in found and "Search on" not in found


async def test_filters_are_handed_on(seen: Seen) -> None:
    await seen.journal.add(
        a_new_event("run.ended", sender="ann", subject="x", source="api", at=NOW - timedelta(days=2)),
        a_new_event("run.ended", sender="bob", subject="y", source="bus", at=NOW),
        a_new_event("deploy", sender="ann", subject="y", source="bus", at=NOW),
    )
    for query, expected in (
        ("topic=run.*", [2, 1]),
        ("topic=%23", [3, 2, 1]),
        ("sender=ann", [3, 1]),
        ("subject=y&sender=bob", [2]),
        ("source=api", [1]),
        ("since=2026-11-23", [3, 2]),
        ("until=2026-11-23T00:00Z", [1]),
        ("since=2026-11-22&until=2026-11-23&limit=1", [1]),
        ("since=&until=&topic=&limit=&after=&before=", [3, 2, 1]),
    ):
        assert numbers(await seen.json(f"/journal?{query}")) == expected, query


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "limit must be a whole number from 1 to 1000"),
        ("limit=1001", "limit must be"),
        ("limit=nan", "limit must be"),
        ("limit=-1", "limit must be"),
        ("limit=1e3", "limit must be"),
        ("after=1&before=2", "after and before cannot be given together"),
        ("after=-1", "after must be the number of an event, from 0"),
        (f"after={10**30}", "after must be"),
        (f"after={2**63}", "after must be"),
        ("after=%C2%B2", "after must be"),
        ("before=0", "before must be the number of an event, from 1"),
        ("before=x", "before must be"),
        ("topic=" + "a" * 256, "topic"),
        ("topic=a%00b", "topic"),
        ("sender=" + "a" * 256, "sender must be a text of at most 255"),
        ("sender=a%00b", "sender must be"),
        ("subject=a%00", "subject must be"),
        ("source=me", "source must be one of own, bus, api, import"),
        ("since=soon", "since must be a span"),
        ("until=nan", "until must be a span"),
        ("since=1h&until=2h", "since must be before until"),
        ("since=2026-11-24&until=2026-11-24", "since must be before until"),
        ("limit=1&limit=2", "limit is given more than once"),
        ("page=2", "There is no parameter 'page'"),
    ],
)
async def test_a_parameter_that_cannot_be_is_named(seen: Seen, query: str, words: str) -> None:
    answer = await seen.get(f"/journal?{query}", **JSON)
    told = await answer.json()
    assert (answer.status, told["code"]) == (400, "bad_parameter")
    assert words.lower() in told["detail"].lower() and len(told["detail"]) < 300
    assert seen.journal.asked == []


async def test_a_format_that_there_is_not_is_named_on_a_page(seen: Seen) -> None:
    answer = await seen.get("/journal?format=xml")
    assert answer.status == 400
    assert "format must be one of html, json, csv, jsonl, not" in await answer.text()


async def test_lines_give_the_same_bytes_back(seen: Seen) -> None:
    bodies = [b'{"a": 1.0}\n', "Zoë\x1b\u202e\r".encode(), b"\xff\xfe\x00", b"", b"\0"]
    await seen.journal.add(*(a_new_event(body=body, headers={"h": "\x1b"}, subject=EVIL[:20]) for body in bodies))
    for how in ("?format=jsonl&after=0", "?after=0"):
        answer = await seen.get(f"/journal{how}", Accept="application/x-ndjson")
        assert answer.content_type == "application/x-ndjson"
        assert 'filename="journal.jsonl"' in answer.headers["Content-Disposition"]
        lines = (await answer.read()).splitlines()
        assert not any(byte in line for line in lines for byte in (b"\x1b", b"\0"))
        events = [parse_line(line, Counter()) for line in lines]
        assert [event.body for event in events] == bodies
        assert [event.key for event in events] == [event.key for event in seen.journal.events]
        assert events[0].headers == {"h": "\x1b"} and events[0].at == NOW


async def test_a_table_executes_nothing(seen: Seen) -> None:
    await seen.journal.add(
        a_new_event(body=b"=cmd|' /C calc'!A0", sender="=1+1", subject="@x"), a_new_event(body=b"\xff")
    )
    answer = await seen.get("/journal?format=csv")
    assert answer.content_type == "text/csv" and 'filename="journal.csv"' in answer.headers["Content-Disposition"]
    header, binary, evil = csv.reader(io.StringIO(await answer.text()))
    assert tuple(header) == COLUMNS
    told = dict(zip(header, evil, strict=True))
    assert (told["body"], told["sender"], told["subject"]) == ("'=cmd|' /C calc'!A0", "'=1+1", "'@x")
    assert (told["seq"], told["size"], told["headers"], told["body_base64"]) == ("1", "18", "{}", "")
    assert binary[-2:] == ["", "/w=="]


async def test_pages_show_what_strangers_wrote_and_run_none_of_it(seen: Seen) -> None:
    told = json.dumps({EVIL: EVIL}, ensure_ascii=False).encode()
    await seen.journal.add(
        a_new_event(
            EVIL,
            told,
            sender=EVIL,
            subject=EVIL,
            message_id=EVIL,
            actor=EVIL,
            content_type=EVIL,
            headers={EVIL: [EVIL]},
        ),
        a_new_event(body=EVIL.encode(), headers={EVIL: EVIL}),
    )
    for path in ("/journal", "/journal/1", "/journal/2", "/journal?subject=%3Cscript%3Ealert&topic=%3Cscript%3E"):
        text = await seen.text(path)
        assert "<script>alert" not in text and "\x1b" not in text and "\u202e" not in text, path
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\x1b[31m\u202e" in await seen.text("/journal/2")


async def test_a_body_is_shown_as_what_it_is(seen: Seen) -> None:
    large = b"[" + b"1," * 100_000 + b"1]"
    bodies = (b'{"b":1,"a":[true]}', b"line\none", bytes(range(256)) * 5, b"", large, b'{"a":1e999}')
    await seen.journal.add(*(a_new_event(body=body) for body in bodies))
    pretty = await seen.text("/journal/1")
    assert "{\n  &#34;b&#34;: 1,\n  &#34;a&#34;: [\n    true\n  ]\n}" in pretty
    assert "line\none" in await seen.text("/journal/2")
    hexadecimal = await seen.text("/journal/3")
    assert "00000010  10 11 12" in hexadecimal and "!&#34;#$%&amp;" in hexadecimal
    assert "This is its beginning." in hexadecimal and "00000400" not in hexadecimal
    assert "It has no body." in await seen.text("/journal/4")
    long = await seen.text("/journal/5")
    assert "This is its beginning." in long and len(long) < 110_000
    assert "{&#34;a&#34;:1e999}" in await seen.text("/journal/6")
    told = await seen.json("/journal")
    assert [event["data"] is None for event in told["events"]] == [True, False, True, True, True, False]
    assert "no text" in await seen.text("/journal")


async def test_a_body_comes_as_it_is(seen: Seen) -> None:
    await seen.journal.add(a_new_event(body=b"<html>\xff\0"))
    answer = await seen.get("/journal/1?format=body")
    assert (await answer.read(), answer.content_type) == (b"<html>\xff\0", "application/octet-stream")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="event-1"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("seq", ["0", "2", "-1", "x", "1.0", str(10**30), str(2**63), "%C2%B2", "%00"])
async def test_an_event_that_is_not_there_is_not_found(seen: Seen, seq: str) -> None:
    await seen.journal.add(a_new_event())
    answer = await seen.get(f"/journal/{seq}", **JSON)
    assert (answer.status, (await answer.json())["code"]) == (404, "event_not_found")


async def test_an_event_has_no_other_formats(seen: Seen) -> None:
    await seen.journal.add(a_new_event())
    assert (await seen.get("/journal/1?format=csv", **JSON)).status == 400
    assert (await seen.get("/journal/1?x=1", **JSON)).status == 400


async def test_an_empty_journal_says_how_events_come(seen: Seen) -> None:
    text = await seen.text("/journal")
    assert "No events yet." in text and "promise-pub journal add deploy" in text
    told = await seen.json("/journal")
    assert told == {"events": [], "next": None, "oldest": 1, "newest": 0}
    assert "No events match these filters" in await seen.text("/journal?topic=x")
    assert "No older events" in await seen.text("/journal?before=5")


async def test_a_page_of_later_events_has_the_newest_first_as_well(seen: Seen) -> None:
    await seen.journal.add(*(a_new_event() for _ in range(5)))
    text = await seen.text("/journal?after=1&limit=3")
    assert [text.index(f'href="/journal/{seq}"') for seq in (4, 3, 2)] == sorted(
        text.index(f'href="/journal/{seq}"') for seq in (4, 3, 2)
    )
    assert 'href="/journal?after=4&amp;limit=3" rel="prev">Newer' in text
    assert 'href="/journal?limit=3&amp;before=2" rel="next">Older' in text
    assert 'id="live"' not in text and 'id="live"' in await seen.text("/journal?limit=3")


async def test_a_database_that_is_away_is_told(seen: Seen) -> None:
    seen.journal.away = DatabaseUnavailable("The database cannot be reached.", passes=True)
    for path in ("/journal", "/journal/1"):
        answer = await seen.get(path, **JSON)
        assert (answer.status, (await answer.json())["code"]) == (503, "database_unavailable")


async def test_only_operators_see_and_post_events(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    house, accounts, journal = House(tmp_path), FakeAccounts(), FakeReader()
    await journal.add(a_new_event())
    authenticator = Authenticator(accounts, SessionSigner(b"k" * 32, hours=12), Passwords(QUICK), LoginAttempts())
    tokens = {role: (await accounts.add_token(role.value, role, 1))[0] for role in Role}
    async with house.runs:
        client = await aiohttp_client(house.app(with_services(journal, journal), authenticator=authenticator))
        for role, status in ((Role.VIEWER, 403), (Role.OPERATOR, 200)):
            bearer = {"Authorization": f"Bearer {tokens[role]}"}
            for path in ("/journal", "/journal/1"):
                for face in ("html", "json"):
                    assert (await client.get(f"{path}?format={face}", headers=bearer)).status == status
            text = await (await client.get("/runs", headers={**bearer, **PAGE})).text()
            assert ('href="/journal"' in text) is (role is Role.OPERATOR)
            posted = await client.post("/journal", json={"topic": "a", "data": 1}, headers=bearer)
            assert posted.status == (201 if role is Role.OPERATOR else 403)
        assert (await client.get("/journal", headers=JSON)).status == 401
        assert (await client.post("/journal", json={"topic": "a", "data": 1}, headers=JSON)).status == 401
    (event,) = journal.events[1:]
    assert (event.sender, event.actor, event.source) == ("operator", "operator", "api")
