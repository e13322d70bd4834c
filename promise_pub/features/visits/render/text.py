"""Chains of pages as text: a box, an arrow and a box for each transition. Pure. A column is a terminal's."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from rich.cells import cell_len, chop_cells

from promise_pub.features.visits.chains import Chains, percent
from promise_pub.features.visits.render.labels import clip, shorten, shown

NOTHING = "No hits yet."
GAP = " "  # on both sides of an arrow
FRAME = len("|  |")  # what a box takes besides its label
SHORTEST = 5  # columns of a shorten label: less of it would tell no page from another


class Row(NamedTuple):
    """A transition, or a page that nobody has gone on from: then it has neither arrow nor target."""

    page: str | None
    """None: the page of the row above."""
    arrow: str
    target: str | None


def draw(chains: Chains, title: str, width: int | None) -> str:
    """The title, and every transition with its share: pages by their hits, from each the likeliest first.

    It takes at most `width` columns, 1 at least; None: as many as it needs. For that labels are shorten, the longest
    first; where this is not enough lines are cut, but the title goes on in the next line. What a page is called
    neither breaks a line nor drives a terminal; all else is ASCII. No line ends in blanks.
    """
    rows = list(_rows(chains))
    if width is not None:
        rows = list(_shortened(rows, _longest(rows, width)))
    drawn = _drawn(rows) or ["", NOTHING]
    if width is None:
        lines = [shown(title), *drawn]
    else:
        lines = [*_broken(shown(title), width), *(clip(line, width) for line in drawn)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _rows(chains: Chains) -> Iterator[Row]:
    for page in chains.pages():
        targets = chains.targets(page)
        if not targets:
            yield Row(shown(page), "", None)
        total = sum(target.count for target in targets)
        for place, target in enumerate(targets):
            label = None if place else shown(page)
            yield Row(label, _arrow(percent(target.count, total)), shown(target.page))


def _arrow(share: str) -> str:
    return f"--- {share:>3} % --->"


def _longest(rows: Sequence[Row], width: int) -> int:
    """How many columns a label may take, so that the widest page and the widest target fit into this width."""
    arrow = max((len(row.arrow) for row in rows), default=0)
    room = width - (2 * FRAME + 2 * len(GAP) + arrow if arrow else FRAME)
    shorter = min(_widest(row.page for row in rows), _widest(row.target for row in rows))
    return max(SHORTEST, room - shorter, room // 2)


def _shortened(rows: Iterable[Row], columns: int) -> Iterator[Row]:
    for page, arrow, target in rows:
        yield Row(page and shorten(page, columns), arrow, target and shorten(target, columns))


def _drawn(rows: Sequence[Row]) -> list[str]:
    """Lines: all arrows begin in one column, and so do their targets."""
    widest = FRAME + _widest(row.page for row in rows)
    return list(chain.from_iterable(["", *_lines(row, widest)] for row in rows))


def _widest(labels: Iterable[str | None]) -> int:
    return max((cell_len(label) for label in labels if label is not None), default=0)


def _lines(row: Row, widest: int) -> Iterator[str]:
    blank = " " * len(row.arrow)
    middle = (blank, row.arrow, blank)
    for page, arrow, target in zip(_box(row.page), middle, _box(row.target), strict=True):
        yield GAP.join([page + " " * (widest - cell_len(page)), arrow, target])


def _box(label: str | None) -> tuple[str, str, str]:
    if label is None:
        return "", "", ""
    edge = f"+{'-' * (FRAME + cell_len(label) - 2)}+"
    return edge, f"| {label} |", edge


def _broken(title: str, width: int) -> list[str]:
    """The title in lines: who it is about must not be cut off."""
    lines = textwrap.wrap(title, width, break_on_hyphens=False)  # by characters, which may be wide
    return [part for line in lines for part in chop_cells(line, width)] or [""]
