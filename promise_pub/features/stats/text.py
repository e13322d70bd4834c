"""Statistics as text for a terminal: a line with a bar for each row. Pure. Widths are columns of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from promise_pub.features.stats.pages import head_of, show_rows
from promise_pub.features.stats.report import Overview, Table
from promise_pub.text import printable

MOST_NAME = 40  # columns of a key's part
LEAST_BAR, MOST_BAR = 10, 60  # columns
_BLOCKS = " ▏▎▍▌▋▊▉█"


def draw_list(overview: Overview) -> Grid:
    """Returns the statistics, a line for each."""
    grid = Grid(box=None, pad_edge=False)
    for name in ("statistic", "intervals", "state", "counts"):
        grid.add_column(name, no_wrap=True, overflow="ellipsis" if name == "counts" else "fold")
    for told in overview.as_json():
        grid.add_row(told["name"], " ".join(told["intervals"]) or "–", _state(told), Text(printable(told["summary"])))
    return grid


def _state(told: dict[str, object]) -> str:
    if told["state"] != "going":
        return "not installed" if told["state"] == "absent" else "set aside"
    if told["rebuilding"] is not None:
        return f"counting, {told['rebuilding']} %"
    return f"behind by {told['behind']:,}" if told["behind"] else "up to date"


def draw_rows(table: Table, width: int, *, ascii_only: bool = False) -> Grid:
    """Returns the rows with their values, each with a bar of the first of these where there is room."""
    head, rows = head_of(table), [*show_rows(table)]
    timed = table.layout.kind != "latest"
    shown = [place for place, cell in enumerate(head) if cell.text != "End, UTC"]
    grid = Grid(box=None, pad_edge=False)
    for place in shown:
        grid.add_column(head[place].text, no_wrap=True, justify="right" if head[place].look == "number" else "left")
    lines = [[_fitted(row[place].text) for place in shown] for row in rows]
    room = width - _taken([[head[place].text for place in shown], *lines])
    with_bars = timed and room >= LEAST_BAR
    if with_bars:
        grid.add_column("")
    most = max((_first(row.values) for row in table.rows), default=0.0)
    for row, line in zip(table.rows, lines, strict=True):
        bar = [bar_of(_first(row.values), most, min(room, MOST_BAR), ascii_only=ascii_only)] if with_bars else []
        cells: list[RenderableType] = [Text(cell) for cell in line]
        grid.add_row(*cells, *(Text(one, style="green") for one in bar))
    return grid


def bar_of(value: float, most: float, columns: int, *, ascii_only: bool = False) -> str:
    """Returns a bar of so many columns for the greatest value. Nothing, and less, has none."""
    if value <= 0 or most <= 0:
        return ""
    eighths = max(1, round(8 * columns * value / most))
    if ascii_only:
        return "#" * max(1, eighths // 8)
    return "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()


def _first(values: Sequence[float | str | None]) -> float:
    value = values[0]
    return value if isinstance(value, int | float) else 0.0


def _fitted(text: str) -> str:
    line = printable(text)
    return line if cell_len(line) <= MOST_NAME else f"{set_cell_size(line, MOST_NAME - 1).rstrip()}…"


def _taken(lines: Sequence[Sequence[str]]) -> int:
    """Returns the columns of a table of these lines, with a blank between two cells and before what follows."""
    return sum(max(map(cell_len, column)) + 2 for column in zip(*lines, strict=True))
