"""Events as columns: whatever came can be stored."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from promise_pub.event_records import NewEvent
from promise_pub.features.journal.event_columns import COLUMNS, row_of
from promise_pub.features.journal.keys import key_of

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('\\u0a\0\ud800"é\N{CRAB}')),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(st.sampled_from("\\u0\0\udfff")), part, max_size=3)
    ),
)


def _replaced(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\ud800", "?").replace("\udfff", "?").replace("\0", "\ufffd")
        case list():
            return [_replaced(part) for part in value]
        case dict():
            return {_replaced(name): _replaced(part) for name, part in value.items()}
    return value


@given(anything)
def test_headers_keep_everything_but_nul_and_lone_surrogates(value: Any) -> None:
    event = NewEvent(key=key_of("bus", None, None), source="bus", topic="", body=b"", headers={"x": value})
    text = dict(zip(COLUMNS, row_of(event), strict=True))["headers"]
    assert json.loads(text) == {"x": _replaced(value)}
    assert "\\u0000" not in text.replace("\\\\", "")


def test_texts_keep_everything_but_nul_and_lone_surrogates() -> None:
    nasty = "a\0\ud800é\\u0000"
    event = NewEvent(
        key=key_of("bus", None, None), source="bus", topic=nasty, body=b"\0\xff", sender=nasty, subject=nasty,
        actor=nasty, message_id=nasty, content_type=nasty,
    )  # fmt: skip
    columns = dict(zip(COLUMNS, row_of(event), strict=True))
    for name in ("topic", "sender", "subject", "actor", "message_id", "content_type"):
        assert columns[name] == "a\ufffd?é\\u0000"
    assert columns["body"] == b"\0\xff"
