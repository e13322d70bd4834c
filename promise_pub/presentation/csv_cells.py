"""Cells of CSV tables that a spreadsheet does not execute. Pure."""

from __future__ import annotations

import re

# A spreadsheet may see a formula at a cell's start, after a separator that it takes for one, behind blanks and invisible
# characters, and in full-width forms; OWASP adds cells that start with a tab or a line end.
_BLANK = r"[\s\0\ufeff\u200b-\u200f\u2060]*"
_SIGN = "[-=+@\uff0d\uff1d\uff0b\uff20\ufe63\ufe66\ufe62\ufe6b]"
_FORMULA = re.compile(rf"\A(?=[\t\r\n\0])|(\A|[;\t\r\n])(?={_BLANK}{_SIGN})")


def neutralise_cell(cell: object) -> object:
    """Returns the cell with an apostrophe before whatever a spreadsheet would take for a formula."""
    return _FORMULA.sub(r"\g<0>'", cell) if isinstance(cell, str) else cell
