"""Properties as pamqp encodes them, and as strangers may."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import encode
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from promise_pub.amqp.properties import Properties, decode_table, parse_properties

WORDS = st.text("abc-é\N{CRAB}:", min_size=1, max_size=12)
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        **{
            name: WORDS
            for name in (
                *("content_type", "content_encoding", "correlation_id", "reply_to", "expiration", "message_id"),
                *("message_type", "user_id", "app_id"),
            )
        },
        "headers": st.dictionaries(WORDS, st.integers(0, 9), min_size=1),
        "delivery_mode": st.sampled_from([1, 2]),
        "priority": st.integers(1, 9),
        "timestamp": st.integers(0, 2**32 - 1).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    },
)


def marshalled(properties: dict[str, Any]) -> bytes:
    return ContentHeader(0, 0, Basic.Properties(**properties)).marshal()[12:]


@given(GIVEN)
def test_properties_are_what_pamqp_encodes(given: dict[str, Any]) -> None:
    found = parse_properties(marshalled(given), 10_000)
    for name in ("content_type", "message_id", "user_id", "app_id"):
        assert getattr(found, name) == given.get(name, "").encode()
    assert found.timestamp == (int(given["timestamp"].timestamp()) if "timestamp" in given else None)
    assert (decode_table(found.headers) if found.headers else {}) == given.get("headers", {})
    assert found.headers_size == len(found.headers)


@given(GIVEN, st.integers(0, 400), st.binary(max_size=3), st.integers(0, 400))
def test_properties_that_are_cut_off_or_wrong_raise_nothing(
    given: dict[str, Any], cut: int, wrong: bytes, place: int
) -> None:
    data = marshalled(given)
    parse_properties(data[:cut], 100)
    parse_properties(data[:place] + wrong + data[place + len(wrong) :], 100)


@given(st.binary(max_size=200))
def test_any_bytes_are_properties(data: bytes) -> None:
    assert isinstance(parse_properties(data, 100), Properties)


def test_headers_that_are_too_long_are_left_out_and_the_rest_is_read() -> None:
    data = marshalled({"headers": {"a": "x" * 100}, "app_id": "app"})
    found = parse_properties(data, 100)
    assert (found.headers, found.headers_size, found.app_id) == (b"", 111, b"app")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_value_error(data: bytes) -> None:
    try:
        decode_table(struct.pack(">I", len(data)) + data)
    except ValueError:
        return


@pytest.mark.parametrize(
    "value",
    [
        b"T" + b"\xff" * 8,
        b"?",
        b"A" + struct.pack(">I", 100),
        b"".join(b"A" + struct.pack(">I", 5 * n) for n in range(1500, 0, -1)),
    ],
    ids=["a time", "a type", "a length", "nesting"],
)
def test_a_value_that_cannot_be_decoded_is_a_value_error(value: bytes) -> None:
    table = b"\x01a" + value
    with pytest.raises(ValueError):
        decode_table(struct.pack(">I", len(table)) + table)


def test_an_empty_table_is_empty() -> None:
    assert decode_table(encode.field_table({})) == {}
