"""Cells of CSV tables that a spreadsheet does not execute. Pure."""

from __future__ import annotations

import re

# A spreadsheet may see a formula at a cell's start, after a separator that it takes for one, behind blanks and invisible
# characters, and in full-width forms; OWASP adds cells that start with a tab or a line end.
_BLANKS = r"[\s\0\ufeff\u200b-\u200f\u2060]*+"
_SIGN = "[-=+@\uff0d\uff1d\uff0b\uff20\ufe63\ufe66\ufe62\ufe6b]"
_START = re.compile(rf"{_BLANKS}{_SIGN}|[\t\r\n\0]")
# Blanks are part of the match with or without a formula behind them: a cell may consist of a hundred thousand line ends,
# and none of them is looked at twice.
_SEPARATED = re.compile(rf"[;\t\r\n]{_BLANKS}({_SIGN})?")
_QUOTED = str.maketrans({separator: f"{separator}'" for separator in ";\t\r\n"})


def neutralise_cell(cell: object) -> object:
    """Returns the cell with an apostrophe before whatever a spreadsheet would take for a formula."""
    if not isinstance(cell, str):
        return cell
    start = "'" if _START.match(cell) else ""
    return start + _SEPARATED.sub(_quote_formula, cell)


def _quote_formula(found: re.Match[str]) -> str:
    return found[0].translate(_QUOTED) if found[1] else found[0]
