"""Percentages at the ways that matter, where they cover least. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from promise_pub.features.visits.chains import percent
from promise_pub.features.visits.render.svg.curves import Way, unit
from promise_pub.features.visits.render.svg.layout import MARGIN, Frame, Place
from promise_pub.features.visits.render.svg.text_size import LINE, NUMBER, Box, around, width_of

STRONG, WEAK = 0.2, 0.1  # shares of those who leave a page
FEW = 12  # ways: with so few, the weak ones have a number too
_BEST = 0.42  # of its way is where a number stands best: nearer to its source, not among the heads
_ALONG = sorted((step / 25 for step in range(4, 22)), key=lambda part: abs(part - _BEST))
_LATER = 0.2  # of a line's width: what a less good place of these counts
_CELL = 6.0  # units: lines are remembered by the cells they pass

_Cells = Mapping[tuple[int, int], set[int]]
"""The places of the ways that pass through each."""


@dataclass(frozen=True, slots=True)
class Number:
    """A percentage; `at` is in the middle of its base line."""

    text: str
    at: complex
    box: Box


def numbers(ways: Sequence[Way], places: Sequence[Place], frame: Frame) -> dict[int, Number]:
    """By their ways' places. Those of loops, which have little choice, are placed first; then the strongest.

    None stands on a node, a label or another number, even if that means that a way has none.
    """
    least = 0.0 if len(ways) <= FEW else frame.numbered
    wanted = [position for position, way in enumerate(ways) if way.edge.share >= least]
    wanted.sort(key=lambda position: (not ways[position].loop, -ways[position].edge.share, position))
    taken = [place.label.box for place in places]
    cells = _cells(ways)
    found: dict[int, Number] = {}
    for position in wanted:
        for middles in _spots(ways[position]):
            written = _written(ways[position], middles, frame)
            free = [one for one in written if _is_free(one, taken, places)]
            if free:
                found[position] = _best(free, position, ways, cells)
                taken.append(found[position].box)
                break
    return found


def _spots(way: Way) -> Iterator[list[complex]]:
    """Where the middle of its number might be: on the way, or at its sides; those of a loop are around it."""
    if not way.loop:
        yield [way.curve.at(part) for part in _ALONG]
        yield [way.curve.at(part) + side for part in _ALONG for side in _sides(way, part, 0)]
        return
    start, end = way.curve.at(0.25), way.curve.at(0.75)
    yield [(start + end) / 2 + side for side in _sides(way, 0.5, abs(start - end) / 2)]


def _sides(way: Way, part: float, apart: float) -> list[complex]:
    """Vectors from the way to both sides: along it for what is to stand beside a loop, else across it."""
    along = unit(way.curve.at(part + 0.01) - way.curve.at(part - 0.01))
    aside = along if apart else along * 1j
    width = width_of(_text(way), NUMBER)
    away = apart + way.width / 2 + 8 + (width / 2 - 8) * abs(aside.real)
    return [aside * away, -aside * away]


def _written(way: Way, middles: Iterable[complex], frame: Frame) -> Iterator[Number]:
    """Numbers as near to these points as the drawing's borders allow."""
    text = _text(way)
    width = width_of(text, NUMBER)
    border = (frame.width - MARGIN - width) / 2
    for middle in middles:
        at = complex(max(-border, min(border, middle.real)), middle.imag)
        yield Number(text, at + 0.36j * NUMBER, around(at, width, NUMBER * LINE))


def _text(way: Way) -> str:
    return f"{percent(way.edge.count, way.edge.total)} %"


def _is_free(number: Number, taken: Sequence[Box], places: Sequence[Place]) -> bool:
    box = number.box
    clear = all(box.distance(place.at) > place.radius + 1 for place in places)
    return clear and not any(box.meets(one) for one in taken)


def _best(free: Sequence[Number], position: int, ways: Sequence[Way], cells: _Cells) -> Number:
    """Where the fewest and thinnest other lines pass."""
    costs = [
        sum(ways[other].width for other in _crossing(number.box, cells) if other != position) + rank * _LATER
        for rank, number in enumerate(free)
    ]
    return free[costs.index(min(costs))]


def _cells(ways: Sequence[Way]) -> _Cells:
    """Of all ways but the weak: those do a number no harm."""
    cells: dict[tuple[int, int], set[int]] = defaultdict(set)
    for position, way in enumerate(ways):
        if way.edge.share >= WEAK:
            steps = int(abs(way.curve.points[-1] - way.curve.points[0]) / _CELL) + 8
            for step in range(steps + 1):
                cells[_cell(way.curve.at(step / steps))].add(position)
    return cells


def _cell(point: complex) -> tuple[int, int]:
    return round(point.real / _CELL), round(point.imag / _CELL)


def _crossing(box: Box, cells: _Cells) -> list[int]:
    left, top = _cell(complex(box.left, box.top))
    right, bottom = _cell(complex(box.right, box.bottom))
    within = product(range(left, right + 1), range(top, bottom + 1))
    return sorted(set[int]().union(*(cells.get(cell, ()) for cell in within)))
