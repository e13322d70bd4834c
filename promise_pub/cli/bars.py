"""Rows of a name, a bar, a number and a note, fitted to the terminal's width. Pure: draws, prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from promise_pub.presentation.gauges import ASIDE, DONE, LOST, Gauge, Part

NO_BAR_BELOW = 36  # columns; the numbers then need all of them
NOTES_FROM = 74  # columns
NOTE = 24  # columns: a note must not move the bar beside it

ROUNDED = 0.02  # percent of a bar that its parts may lack by rounding

# Told apart without colour as well, and where a terminal knows ASCII alone.
_SIGNS = {DONE: ("━", "="), ASIDE: ("╌", "-"), LOST: ("╳", "x")}
_STYLES = {DONE: "green", ASIDE: "yellow", LOST: "bold red"}
_REST = ("─", "bright_black")  # thinner: the two can be told apart whatever the colours


class BarRow(NamedTuple):
    """A bar with its name before, its number and note behind."""

    name: str
    parts: Sequence[Part]
    number: str
    note: str


def bar_row(gauge: Gauge) -> BarRow:
    number = "–" if gauge.count is None else f"{gauge.count:,}"
    return BarRow(gauge.name.lower(), gauge.parts, number, gauge.note)


class BarRows:
    """BarRows below each other. A narrow terminal drops the notes first, then the bars."""

    def __init__(self, rows: Sequence[BarRow]) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with_bars = options.max_width >= NO_BAR_BELOW
        with_notes = options.max_width >= NOTES_FROM and any(row.note for row in self._rows)
        table = Table.grid(padding=(0, 2, 0, 0), expand=with_bars)
        table.add_column(no_wrap=True, min_width=len("published"))
        if with_bars:
            table.add_column(ratio=1)
        table.add_column(no_wrap=True, justify="right", min_width=len("1,000,000"))
        if with_notes:
            table.add_column(no_wrap=True, width=NOTE, overflow="ellipsis", style="dim")
        for row in self._rows:
            bar = [_Bar(row.parts)] if with_bars else []
            note = [Text(row.note)] if with_notes else []
            table.add_row(row.name, *bar, row.number, *note)
        yield table


class _Bar:
    """A bar of parts. Losses take at least one cell; a bar is full only when it is complete."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rest = options.max_width
        for kind, cells in self._cells(rest).items():
            yield Segment(_SIGNS[kind][options.ascii_only] * cells, Style.parse(_STYLES[kind]))
            rest -= cells
        sign, style = _REST
        plain = console.no_color or options.ascii_only
        yield Segment((" " if plain else sign) * rest, Style.parse(style))

    def _cells(self, width: int) -> dict[str, int]:
        """Returns the cells of each kind; losses take theirs from the part that is done."""
        taken = int((sum(part.width for part in self._parts) + ROUNDED) / 100 * width)
        cells = {part.kind: max(1, int(part.width / 100 * width)) for part in self._parts if part.kind != DONE}
        done = max(0, min(taken, width) - sum(cells.values()))
        return {part.kind: cells.get(part.kind, done) for part in self._parts}
