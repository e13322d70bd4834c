"""Events that are posted: what is taken, what is refused and how, and that the same id is the same event."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promise_pub.event_records import NewEvent
from promise_pub.features.journal import posting, web
from promise_pub.features.journal.keys import key_of
from promise_pub.features.journal.ports import BATCH, Numbered
from tests.journal.fake_reader import FakeReader
from tests.unit.features.journal.conftest import Seen
from tests.web_house import check_described

DEPLOY = {"topic": "deploy", "data": {"version": "1.4"}}
SOON = datetime.now(UTC) + timedelta(days=365)


async def test_one_event_is_added_with_an_id(seen: Seen) -> None:
    answer = await seen.post(DEPLOY)
    told = await answer.json()
    check_described(seen.client, "PostedEvents", told)
    assert answer.status == 201
    ((one,), (event,)) = told["events"], seen.journal.events
    assert one == {"seq": 1, "id": event.message_id, "added": True}
    assert (event.topic, event.body, event.source) == ("deploy", b'{"version": "1.4"}', "api")
    assert (event.sender, event.actor, event.content_type) == ("api", None, "application/json")
    assert event.key == key_of("api", "api", event.message_id)


async def test_a_list_is_added_once_however_often_it_is_sent(seen: Seen) -> None:
    at = "2026-11-24T12:00:00.5+01:00"
    posted = [
        {**DEPLOY, "id": "one", "subject": "consumer", "at": at},
        {"topic": "a.b.c", "data": None, "id": "two"},
        {"topic": "again", "data": [], "id": "one", "at": None, "subject": None},
    ]
    first, again = await seen.post(posted), await seen.post(posted[::-1])
    assert [tuple(one.values()) for one in (await first.json())["events"]] == [
        (1, "one", True),
        (2, "two", True),
        (1, "one", False),
    ]
    assert [tuple(one.values()) for one in (await again.json())["events"]] == [
        (1, "one", False),
        (2, "two", False),
        (1, "one", False),
    ]
    assert [event.topic for event in seen.journal.events] == ["deploy", "a.b.c"]
    assert seen.journal.events[0].at == datetime(2026, 11, 24, 11, 0, 0, 500_000, UTC)
    assert seen.journal.events[0].subject == "consumer"
    assert seen.journal.events[1].body == b"null"


@pytest.mark.parametrize("data", [0, "", 1.5, True, {}, [[]], "\ud800", "Zoë\x1b", 10**99, {"\u202e": None}])
async def test_data_is_any_json(seen: Seen, data: Any) -> None:
    assert (await seen.post({"topic": "t", "data": data})).status == 201
    assert (await seen.json("/journal/1"))["data"] == data


@pytest.mark.parametrize(
    ("posted", "words"),
    [
        (b"", "The body is no JSON"),
        (b"{", "The body is no JSON"),
        (b"\xff\xfe\xff", "The body is no JSON"),
        (b'{"topic": "a", "data": NaN}', "The body is no JSON"),
        (b'{"topic": "a", "data": 1e999}', "The body is no JSON"),
        (b'{"topic": "a", "data": ' + b"[" * 65 + b"]" * 65 + b"}", "nested more than 64 deep"),
        (b"[" * 100_000, "The body is no JSON"),
        (b'"text"', "must be an event, or a list of 1 to 1,000"),
        ([], "must be an event, or a list"),
        ([DEPLOY] * (BATCH + 1), "must be an event, or a list"),
        ([DEPLOY, 7], "events[1]: must be an object"),
        ({"topic": "a"}, "data: is missing"),
        ([DEPLOY, {"data": 1}], "events[1].topic: is missing"),
        ({**DEPLOY, "extra": 1}, "extra: is not known; an event has topic, data, at, id, subject"),
        ([{**DEPLOY, "body": 1}], "events[0].body: is not known"),
        ([*[DEPLOY] * 17, {**DEPLOY, "topic": ""}], "events[17].topic: must have 1 to 255 bytes"),
        ({**DEPLOY, "topic": "ä" * 128}, "topic: must have 1 to 255 bytes"),
        ({**DEPLOY, "topic": 7}, "topic: must be a text"),
        ({**DEPLOY, "topic": None}, "topic: must be a text"),
        *(
            ({**DEPLOY, "topic": topic}, "topic: must be words with dots between them")
            for topic in (
                "a b",
                " a",
                "a.*",
                "#",
                "a#b",
                "a\nb",
                "a\x00",
                "a\u202eb",
                "a\u00a0b",
                "a..b",
                ".",
                "\ud800",
            )
        ),
        ({**DEPLOY, "id": ""}, "id: must have 1 to 255 bytes"),
        ({**DEPLOY, "id": "a" * 256}, "id: must have 1 to 255 bytes"),
        ({**DEPLOY, "id": "a\0"}, "id: must be a text without control characters"),
        ({**DEPLOY, "id": 7}, "id: must be a text"),
        ({**DEPLOY, "subject": "\x1b"}, "subject: must be a text without control characters"),
        ({**DEPLOY, "subject": " "}, "subject: must be a text"),
        ({**DEPLOY, "subject": ["a"]}, "subject: must be a text"),
        *(
            ({**DEPLOY, "at": at}, "at: must be a time such as 2026-11-24T12:00:00Z")
            for at in (
                "now",
                "2026-11-24",
                "2026-11-24T12:00:00",
                "2026-13-24T12:00:00Z",
                "2026-11-24T12:00:60Z",
                0,
                "",
            )
        ),
        ({**DEPLOY, "at": "9999-12-31T23:59:59-23:59"}, "at: must be a time such as"),
        ({**DEPLOY, "at": "1969-12-31T23:59:59Z"}, "at: must not be before 1970"),
        ({**DEPLOY, "at": SOON.isoformat()}, "at: must not be more than 5 minutes in the future"),
    ],
)
async def test_what_is_no_event_is_refused_by_name_and_nothing_is_added(seen: Seen, posted: Any, words: str) -> None:
    answer = await seen.post(posted)
    told = await answer.json()
    assert (answer.status, told["code"]) == (400, "bad_parameter")
    assert words in told["detail"] and len(told["detail"]) < 300
    assert seen.journal.events == []


async def test_a_clock_may_be_a_little_ahead(seen: Seen) -> None:
    ahead = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    assert (await seen.post({**DEPLOY, "at": ahead})).status == 201


async def test_a_body_has_a_size(seen: Seen) -> None:
    answer = await seen.post(b" " * (web.MAX_POSTED + 1))
    assert (answer.status, (await answer.json())["code"]) == (413, "events_too_large")
    assert (await seen.post(b'{"topic":"a","data":1}' + b" " * (web.MAX_POSTED - 22))).status == 201


async def test_another_site_and_other_parameters_are_refused(seen: Seen) -> None:
    assert (await seen.post(DEPLOY, **{"Sec-Fetch-Site": "cross-site"})).status == 403
    assert (await seen.post(DEPLOY, Origin="https://evil.example")).status == 403
    parameter = await seen.post(DEPLOY, "/journal?topic=x")
    assert parameter.status == 400
    assert (await parameter.json())["detail"] == "There is no parameter 'topic': this takes none."
    assert (await seen.post(DEPLOY, **{"Content-Encoding": "gzip"})).status == 415
    assert seen.journal.events == []


async def test_an_event_that_the_database_refuses_is_named(seen: Seen) -> None:
    seen.journal.refuses = b"1"
    answer = await seen.post([DEPLOY, {"topic": "a", "data": 1}])
    assert answer.status == 400
    assert "events[1]: PostgreSQL refused it" in (await answer.json())["detail"]


class SlowReader(FakeReader):
    """Appends when it is told to go, and notes how many wait for that."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.at_once = 0

    async def append_and_number(self, events: Sequence[NewEvent]) -> Numbered:
        self.at_once += 1
        await self.go.wait()
        return await super().append_and_number(events)


class TestManyWhoPost:
    @pytest.fixture
    def journal(self) -> FakeReader:
        return SlowReader()

    async def test_two_append_at_a_time_and_others_are_told_to_come_again(
        self, seen: Seen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert isinstance(seen.journal, SlowReader)
        monkeypatch.setattr(posting, "TURN_TIMEOUT", 0.1)
        posts = [asyncio.create_task(seen.post({**DEPLOY, "id": str(n)})) for n in range(6)]
        async with asyncio.timeout(10):
            while sum(post.done() for post in posts) < 4:
                await asyncio.wait([post for post in posts if not post.done()], return_when=asyncio.FIRST_COMPLETED)
        refused = [post.result() for post in posts if post.done()]
        assert seen.journal.at_once == posting.MAX_POSTING
        seen.journal.go.set()
        answers = [await one for one in posts]
        assert sorted(answer.status for answer in answers) == [201, 201, 503, 503, 503, 503]
        assert {answer.headers["Retry-After"] for answer in refused} == {"10"}
        assert {(await answer.json())["code"] for answer in refused} == {"busy"}
        assert len(seen.journal.events) == 2
        # Turns are given back.
        assert [(await seen.post(DEPLOY)).status for _ in range(3)] == [201] * 3
