"""Cells of CSV tables that a spreadsheet does not execute."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.presentation.csv_cells import neutralise_cell

_BLANKS = r"[\s\0\ufeff\u200b-\u200f\u2060]*"
_SIGN = "[-=+@\uff0d\uff1d\uff0b\uff20\ufe63\ufe66\ufe62\ufe6b]"
# It says the same in fewer words, and looks through all blanks again after each line end among them.
_PLAIN = re.compile(rf"\A(?=[\t\r\n\0])|(\A|[;\t\r\n])(?={_BLANKS}{_SIGN})")


@settings(deadline=None, max_examples=1_000)
@given(st.text(alphabet="\t\r\n;= -a\0\u200b\uff0b,", max_size=12))
def test_an_apostrophe_stands_before_each_formula(cell: str) -> None:
    assert neutralise_cell(cell) == _PLAIN.sub(r"\g<0>'", cell)


@pytest.mark.parametrize("blanks", ["\n", "\t", "\r\n", ";\n", " ", "\n "])
def test_a_long_blank_cell_is_looked_through_once(blanks: str) -> None:
    # With a look at all that follows from each line end, these would take hours.
    cell = "a" + blanks * 1_000_000
    assert neutralise_cell(cell) == cell
    assert neutralise_cell(cell + "b") == cell + "b"


def test_each_line_end_before_a_formula_gets_an_apostrophe() -> None:
    assert neutralise_cell("a" + "\n" * 100_000 + "=") == "a" + "\n'" * 100_000 + "="


@pytest.mark.parametrize("cell", [None, 5, 2.5])
def test_what_is_no_text_stays(cell: object) -> None:
    assert neutralise_cell(cell) is cell
