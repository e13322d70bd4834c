"""The bodies of messages: for any columns and any text they are what json.dumps would write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.broker.messages import make_body_encoder
from promise_pub.records import Row

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def tables(draw: Any) -> tuple[list[str], list[list[str]]]:
    columns = draw(st.lists(TEXT, min_size=1, max_size=6, unique=True))
    width = len(columns)
    return columns, draw(st.lists(st.lists(TEXT, min_size=width, max_size=width), max_size=5))


@settings(deadline=None)
@given(tables())
def test_a_body_is_what_json_would_write(table: tuple[list[str], list[list[str]]]) -> None:
    columns, texts = table
    rows = [Row(number, *fields) for number, fields in enumerate(texts, start=1)]
    assert list(make_body_encoder(columns)(rows)) == [
        json.dumps(dict(zip(columns, fields, strict=True)), ensure_ascii=False).encode() for fields in texts
    ]


@pytest.mark.parametrize("columns", [["a"], ["a", "b"], ["a", "b", "c", "d"]])
def test_a_row_of_another_width_is_no_body_that_lacks_something(columns: list[str]) -> None:
    with pytest.raises(ValueError):
        list(make_body_encoder(columns)([Row(1, "x", "y", "z")]))
