"""Messages of the bus as events: whatever a broker relays becomes one that PostgreSQL takes."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import encode

from promise_pub.amqp.properties import Properties, parse_properties
from promise_pub.event_records import NewEvent
from promise_pub.features.journal.keys import key_of
from promise_pub.features.journal.reading import (
    CUT,
    HEADERS_CUT,
    JOURNAL_HEADER,
    MAX_DEPTH,
    MAX_HEADERS,
    MAX_SUBJECT,
    BusEvent,
    BusMessage,
    read_message,
)

NAME = "3f0c0b4e-0000-4000-8000-000000000001"
MOMENT = datetime(2026, 11, 30, 12, 0, 0, 500_000, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def read(headers: dict[str, Any] | None = None, **properties: Any) -> BusEvent:
    table = encode.field_table(headers) if headers else b""
    given = Properties(headers=table, headers_size=len(table), **properties)
    return read_message(BusMessage(1, b"a.b", given, 4, b"body"), NAME)


def event(headers: dict[str, Any] | None = None, **properties: Any) -> NewEvent:
    return read(headers, **properties).event


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for n in range(depth):
        value = [value] if n % 2 else {"in": value}
    return {"a": value}


def test_an_event_is_what_its_message_says() -> None:
    found = event({"subject": "run 7", "n": 1}, message_id=b"1", app_id=b"app", user_id=b"me", content_type=b"text/csv")
    assert found == NewEvent(
        key=key_of("bus", "app", "1"),
        source="bus",
        topic="a.b",
        body=b"body",
        sender="app",
        subject="run 7",
        message_id="1",
        content_type="text/csv",
        headers={"subject": "run 7", "n": 1},
    )


def test_an_event_that_says_nothing_is_one_of_its_own() -> None:
    one, other = event(), event()
    assert one.key != other.key
    assert (one.at, one.sender, one.subject, one.message_id, one.content_type, one.headers) == (*[None] * 5, {})


def test_the_user_is_the_sender_where_no_application_is_named() -> None:
    assert event(user_id=b"me").sender == "me"


@pytest.mark.parametrize(
    ("headers", "timestamp", "at"),
    [
        ({"at": "2026-11-30T12:00:00.5Z"}, 0, MOMENT),
        ({"sent-at": "2026-11-30T13:00:00.5+01:00"}, 0, MOMENT),
        ({"at": "2026-11-30T12:00:00.5Z", "sent-at": "2020-01-01T00:00:00Z"}, None, MOMENT),
        ({"at": "no moment", "sent-at": "2026-11-30T12:00:00.5Z"}, None, MOMENT),
        ({"at": "2026-11-30T12:00:00.5"}, 1577836800, LONG_AGO),
        ({"at": 7}, 1577836800, LONG_AGO),
        ({"at": "0001-01-01T00:00:00+14:00"}, None, None),
        ({"at": "9999-12-31T23:59:59-12:00"}, None, None),
        ({"at": "12026-01-01T00:00:00Z"}, None, None),
        ({}, 2**64 - 1, None),
        ({}, 1_795_000_000_000, None),
        ({}, 253_402_300_800, None),
        ({}, None, None),
    ],
)
def test_the_time_is_what_its_sender_says_if_it_can_be_held(
    headers: dict[str, Any], timestamp: int | None, at: datetime | None
) -> None:
    assert event(headers, timestamp=timestamp).at == at


def test_headers_are_json() -> None:
    given = {
        "text": "é",
        "bytes": bytearray(b"a\xff"),
        "moment": datetime(2026, 11, 30, tzinfo=timezone(timedelta(hours=1))),
        "number": Decimal("1.25"),
        "float": 0.5,
        "nothing": None,
        "yes": True,
        "table": {"list": [1, {"a": "b"}]},
    }
    assert event(given).headers == given | {
        "bytes": r"a\xff",
        "moment": "2026-11-29T23:00:00Z",
        "number": "1.25",
    }


def test_numbers_that_json_lacks_are_words() -> None:
    table = b"".join(
        b"\x01%c" % name + b"d" + struct.pack(">d", value)
        for name, value in zip(b"abc", (float("nan"), float("inf"), -float("inf")), strict=True)
    )
    table = struct.pack(">I", len(table)) + table
    given = BusMessage(1, b"", Properties(headers=table, headers_size=len(table)), 0, b"")
    assert read_message(given, NAME).event.headers == {"a": "nan", "b": "inf", "c": "-inf"}


def test_headers_are_bounded_in_depth() -> None:
    deepest = read(nested(MAX_DEPTH - 1))
    assert deepest.event.headers == nested(MAX_DEPTH - 1) and not deepest.headers_cut
    deeper = read(nested(MAX_DEPTH))
    assert deeper.headers_cut and deeper.event.headers == {HEADERS_CUT: len(encode.field_table(nested(MAX_DEPTH)))}


@pytest.mark.parametrize(
    "value", [b"V", b"t\0", b"b\x80", b"S\0\0\0\1\0", b"x\0\0\0\1\xff", b"F\0\0\0\0", b"B\0"], ids=repr
)
def test_headers_are_less_than_64_kb_of_json(value: bytes) -> None:
    values = value * ((MAX_HEADERS - 11) // len(value))
    table = b"\x01aA" + struct.pack(">I", len(values)) + values
    table = struct.pack(">I", len(table)) + table
    found = read_message(BusMessage(1, b"", Properties(headers=table, headers_size=len(table)), 0, b""), NAME)
    assert not found.headers_cut and len(json.dumps(dict(found.event.headers))) < 64 * 1024


def test_text_is_what_postgresql_takes() -> None:
    given = Properties(message_id=b"a\0\xff", app_id=b"\0", content_type=b"\xff")
    found = read_message(BusMessage(1, b"\xff.\0", given, 0, b"\0"), NAME).event
    assert (found.topic, found.content_type, found.body) == ("\ufffd.\ufffd", "\ufffd", b"\0")
    assert (found.message_id, found.sender) == (r"a\x00\xff", r"\x00")
    assert event({"a\0": "b\0", "subject": "\0"}).headers == {"a\ufffd": "b\ufffd", "subject": "\ufffd"}


def test_ids_that_are_no_text_stay_different() -> None:
    assert event(message_id=b"\xfe").key != event(message_id=b"\xff").key


def test_a_subject_fits_its_index_and_the_headers_have_all_of_it() -> None:
    found = event({"subject": "s" * 1000})
    assert found.subject == "s" * MAX_SUBJECT and found.headers == {"subject": "s" * 1000}
    assert event({"subject": 7}).subject is None


def test_of_a_body_that_is_too_long_the_size_is_kept() -> None:
    found = read_message(BusMessage(1, b"a", Properties(), 100_000, None), NAME).event
    assert (found.body, found.headers) == (b"", {CUT: 100_000})


def test_only_the_name_of_this_journal_makes_an_event_its_own() -> None:
    assert read({JOURNAL_HEADER: NAME}).own
    assert not read({JOURNAL_HEADER: NAME[:-1]}).own and not read().own


@given(st.binary(max_size=300), st.binary(max_size=300), st.text(max_size=20))
def test_any_bytes_are_an_event(properties: bytes, table: bytes, name: str) -> None:
    headers = struct.pack(">I", len(table)) + table
    for properties_of in (
        parse_properties(properties, MAX_HEADERS),
        parse_properties(b"\xff\xf8" + properties, MAX_HEADERS),
        Properties(headers=headers, headers_size=len(headers)),
    ):
        found = read_message(BusMessage(1, table[:255], properties_of, 0, b""), name).event
        text = json.dumps([dict(found.headers), found.topic, found.sender, found.message_id, found.content_type])
        assert r"\u0000" not in text and "NaN" not in text
        text.encode()
