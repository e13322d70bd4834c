"""Figures of several rounds: medians, spreads, percentiles, and tables of them in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column is left-aligned, the others right."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.headings, *self.rows, strict=True)]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        return "\n".join("| " + " | ".join(_cells(row, widths)) + " |" for row in (self.headings, rule, *self.rows))


def _cells(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


@dataclass(frozen=True)
class Target:
    """A goal of the project, what was measured, and whether that reaches it."""

    figure: str
    wanted: str
    measured: str
    reached: bool


@dataclass(frozen=True)
class Section:
    """One part of the report. `charts` are SVG by file name."""

    title: str
    text: str
    table: Table
    charts: dict[str, str] = field(default_factory=dict)
    targets: Sequence[Target] = ()


def spread(values: Sequence[float]) -> str:
    """How far the rounds were from their median at most: `±4 %`. One round has no spread."""
    middle = median(values)
    if len(values) < 2 or not middle:
        return "–"
    return f"±{max(abs(value - middle) for value in values) / middle * 100:.0f} %"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def most_within(moments: Sequence[float], seconds: float) -> int:
    """The largest number of ascending moments in any stretch of this length, its end not counted."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def whole(value: float) -> str:
    return f"{value:,.0f}"


def ratio(value: float) -> str:
    return f"{value:.2f} ×"
