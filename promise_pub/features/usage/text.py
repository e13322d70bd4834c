"""Usage as a table for terminals. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promise_pub.features.usage.records import Usage
from promise_pub.features.usage.report import COLUMNS, PEOPLE_COLUMNS, DayReport, cells, count_range, title_of
from promise_pub.text import printable


def draw_usage(usage: Usage, told: Sequence[str]) -> str:
    """Returns the periods as aligned columns, below the sentences that a reader has to know."""
    return "\n".join([title_of(usage.question), count_range(usage), *told, "", *_aligned(COLUMNS, cells(usage)), ""])


def draw_day(report: DayReport, told: Sequence[str]) -> str:
    """Returns the people of a day, in the same way."""
    title = f"{report.usage.question.action} on {report.day}"
    return "\n".join([title, *told, "", *_aligned(PEOPLE_COLUMNS, report.cells()), ""])


def _aligned(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Returns lines of columns, numbers on their right."""
    listed = [*rows]
    table = [[*head], *([_cell(one) for one in row] for row in listed)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    numbers = [type(one) is int for one in listed[0]] if listed else [False] * len(head)
    places = [*zip(widths, numbers, strict=True)]
    return ["  ".join(map(_justify, line, places)).rstrip() for line in table]


def _justify(cell: str, place: tuple[int, bool]) -> str:
    width, is_number = place
    return cell.rjust(width) if is_number else cell.ljust(width)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))
