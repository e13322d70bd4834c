"""Names of pages in little room."""

from __future__ import annotations

from ast import literal_eval

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from promise_pub.features.visits.render.labels import clip, label_of, shorten


@pytest.mark.parametrize(
    ("name", "columns", "label"),
    [
        ("/runs", 5, "/runs"),
        ("/login", 5, "/...n"),
        ("/login", 4, "/..."),
        ("/login", 3, "..."),
        ("/runs/{id}/compare", 10, "/run...are"),
        ("/日本語日本語", 11, "/日...本語"),
        ("/日本語日本語", 5, "/..."),
        ("/aaaaaaaae\u0301b", 8, "/aa...b"),
        ("", 3, ""),
    ],
)
def test_the_middle_goes(name: str, columns: int, label: str) -> None:
    assert shorten(name, columns) == label


@pytest.mark.parametrize(("columns", "label"), [(-1, ""), (0, ""), (1, "/"), (2, "/"), (3, "/日")])
def test_half_a_character_is_none(columns: int, label: str) -> None:
    assert clip("/日本", columns) == label


@settings(deadline=None)  # a busy machine is no fault of the code
@given(st.text(), st.integers(3, 30))
def test_a_label_takes_no_more_than_it_may(name: str, columns: int) -> None:
    assert cell_len(shorten(label_of(name), columns)) <= columns


@settings(deadline=None)
@given(st.text(st.sampled_from("/\\x1b\x1b\n\\n"), max_size=6), st.text(max_size=6))
def test_no_two_names_are_shown_alike(one: str, other: str) -> None:
    assert (label_of(one) == label_of(other)) is (one == other)
    assert label_of(one).isprintable()
    assert literal_eval(f'"{label_of(one)}"') == one, "it can be read back"
