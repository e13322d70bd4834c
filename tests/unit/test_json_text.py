"""JSON of others: what is read, what is refused, and how text is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.json_text import MAX_DIGITS, MAX_NESTING, dump_json, parse_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert parse_json(dump_json(value)) == value
    assert parse_json(json.dumps(value).encode()) == value


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "0" + closing * depth


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[[],{"b":1,"a":', "}]")])
@pytest.mark.parametrize("depth", [MAX_NESTING + 1, 900, 100_000])
def test_deep_nesting_is_refused(opening: str, closing: str, depth: int) -> None:
    with pytest.raises(ValueError, match=f"it is nested more than {MAX_NESTING} deep"):
        parse_json(nested(depth, opening, closing))


def test_as_much_nesting_as_is_allowed_is_read() -> None:
    text = nested(MAX_NESTING, "[", "]")
    assert parse_json(f"  {text}") == json.loads(text)
    assert parse_json(f'["{"[" * 1_000}"]') == ["[" * 1_000]


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", '{"a":-Infinity}', "1e999", "-1e400", "9" * (MAX_DIGITS + 1), "-" + "1" * 5_000]
)
def test_numbers_that_nothing_can_be_made_of_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no number that can be used|has more than 100 digits"):
        parse_json(text)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "\ufeff[]", b"\xff", b"\xc3\x28", "'a'"])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_what_drives_a_terminal_or_turns_the_writing_is_written_as_escapes() -> None:
    text = "é\x1b[2J\x07\x85\x9b\u202egnp\u2066😀\ud800\u200d\r\n"
    assert dump_json([text]) == '["é\\u001b[2J\\u0007\\u0085\\u009b\\u202egnp\\u2066😀\\ud800\u200d\\r\\n"]'
    assert json.loads(dump_json([text])) == [text]
