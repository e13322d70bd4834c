"""Transitions as text: a box, an arrow and a box for each. Pure. Widths are columns of a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from rich.cells import cell_len, chop_cells

from promise_pub.features.visits.chains import Chains, format_percent
from promise_pub.features.visits.render.labels import clip, label_of, shorten
from promise_pub.text import printable

NOTHING = "No hits yet."
GAP = " "  # on both sides of an arrow
FRAME = len("|  |")  # columns of a box without its label
MIN_LABEL = 5  # columns; shorter labels would all look the same


class TransitionRow(NamedTuple):
    """A transition, or a page without any, which has neither arrow nor target."""

    page: str | None
    """None for the page of the row above."""
    arrow: str
    target: str | None


def draw_text(chains: Chains, title: str, width: int | None) -> str:
    """Returns the title and every transition with its share: pages by hits, from each the most frequent first.

    Lines take at most `width` columns, at least 1, or as many as they need if it is None. To fit, labels are shortened,
    the longest first; then lines are cut, and the title is wrapped. Names of pages are printable, all else is ASCII,
    and no line ends in blanks.
    """
    rows = list(_rows(chains))
    if width is not None:
        rows = list(_shortened(rows, _label_width(rows, width)))
    drawn = _draw_rows(rows) or ["", NOTHING]
    if width is None:
        lines = [printable(title), *drawn]
    else:
        lines = [*_wrap(printable(title), width), *(clip(line, width) for line in drawn)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _rows(chains: Chains) -> Iterator[TransitionRow]:
    for page in chains.pages():
        targets = chains.targets(page)
        if not targets:
            yield TransitionRow(label_of(page), "", None)
        total = sum(target.count for target in targets)
        for place, target in enumerate(targets):
            label = None if place else label_of(page)
            yield TransitionRow(label, _arrow(format_percent(target.count, total)), label_of(target.page))


def _arrow(share: str) -> str:
    return f"--- {share:>3} % --->"


def _label_width(rows: Sequence[TransitionRow], width: int) -> int:
    """Returns the columns that a label may take, so that the widest page and the widest target fit into a width."""
    arrow = max((len(row.arrow) for row in rows), default=0)
    room = width - (2 * FRAME + 2 * len(GAP) + arrow if arrow else FRAME)
    shorter = min(_widest(row.page for row in rows), _widest(row.target for row in rows))
    return max(MIN_LABEL, room - shorter, room // 2)


def _shortened(rows: Iterable[TransitionRow], columns: int) -> Iterator[TransitionRow]:
    for page, arrow, target in rows:
        yield TransitionRow(page and shorten(page, columns), arrow, target and shorten(target, columns))


def _draw_rows(rows: Sequence[TransitionRow]) -> list[str]:
    """Returns the lines. All arrows begin in one column, and so do their targets."""
    widest = FRAME + _widest(row.page for row in rows)
    return list(chain.from_iterable(["", *_lines(row, widest)] for row in rows))


def _widest(labels: Iterable[str | None]) -> int:
    return max((cell_len(label) for label in labels if label is not None), default=0)


def _lines(row: TransitionRow, widest: int) -> Iterator[str]:
    blank = " " * len(row.arrow)
    middle = (blank, row.arrow, blank)
    for page, arrow, target in zip(_box(row.page), middle, _box(row.target), strict=True):
        yield GAP.join([page + " " * (widest - cell_len(page)), arrow, target])


def _box(label: str | None) -> tuple[str, str, str]:
    if label is None:
        return "", "", ""
    edge = f"+{'-' * (FRAME + cell_len(label) - 2)}+"
    return edge, f"| {label} |", edge


def _wrap(title: str, width: int) -> list[str]:
    """Wraps the title, so that the session in it is not cut off."""
    # It wraps by characters, of which some may be two columns wide.
    lines = textwrap.wrap(title, width, break_on_hyphens=False)
    return [part for line in lines for part in chop_cells(line, width)] or [""]
