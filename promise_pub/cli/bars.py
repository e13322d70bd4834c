"""Names, bars, numbers and notes, as wide as there is room. Pure: it draws, and prints nothing."""

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


class Row(NamedTuple):
    """One bar, and what stands before and behind it."""

    name: str
    parts: Sequence[Part]
    number: str
    note: str


def row_of(gauge: Gauge) -> Row:
    number = "–" if gauge.count is None else f"{gauge.count:,}"
    return Row(gauge.name.lower(), gauge.parts, number, gauge.note)


class Rows:
    """Rows below each other. Where there is little room the notes go first, then the bars."""

    def __init__(self, rows: Sequence[Row]) -> None:
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
    """A bar of parts. What is lost or left aside has a place, however little it is; no bar is full before it is all."""

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
        """How many cells each kind takes; what came far gives way to what did not."""
        taken = int((sum(part.width for part in self._parts) + ROUNDED) / 100 * width)
        cells = {part.kind: max(1, int(part.width / 100 * width)) for part in self._parts if part.kind != DONE}
        done = max(0, min(taken, width) - sum(cells.values()))
        return {part.kind: cells.get(part.kind, done) for part in self._parts}
