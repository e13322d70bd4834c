"""Where pages and their names go: on an ellipse, with the exit in its middle. Pure.

A point is a complex number: to the right and down from the middle of the drawing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from promise_pub.features.visits.render.svg.captions import hits
from promise_pub.features.visits.render.svg.ring import ring
from promise_pub.features.visits.render.svg.selection import Kind, Node, Selection
from promise_pub.features.visits.render.svg.text_size import (
    NAME,
    SMALL,
    Box,
    around,
    fitted,
    width_of,
)

MARGIN = 10  # units at the borders, where nothing is drawn
GAP = 7  # between a page and its name
LOOP = 28  # how far a loop stands out from its page
BELOW = 15  # from a name's base line to that of its hits
HEIGHT = NAME + BELOW + 3  # of a label
APART = 3  # units between the middle and names that stand beside it
UP, LEFT, RIGHT, DOWN = -1j, -1 + 0j, 1 + 0j, 1j
UPRIGHT = 0.2  # what is less to the side than that is at the top or the bottom
_ANCHORS = {"start": 0.0, "middle": 0.5, "end": 1.0}  # of a text's width


@dataclass(frozen=True, slots=True)
class Frame:
    """A shape to draw in: so many units wide, and as high as it needs.

    Beside: names stand beside their pages, to the outside; else above and below, for where there is little width.
    """

    name: str
    width: float
    tallest: float  # of the ellipse, from its middle
    rows: float  # how far heights are even: 0 like those on a circle, 1 like rows
    numbered: float  # the least share whose percentage is written
    smallest: float  # radius of a page
    largest: float
    longest: float  # of a name
    beside: bool


LANDSCAPE = Frame("landscape", 1000, 270, 0.5, 0.15, 6, 27, 200, beside=True)
PORTRAIT = Frame("portrait", 360, 330, 1.0, 0.2, 5, 19, 150, beside=False)


@dataclass(frozen=True, slots=True)
class Label:
    """A name, shortened where it is long, and the hits below it. `at` is where the name's base line has its anchor."""

    name: str
    hits: str
    at: complex
    anchor: str
    box: Box


@dataclass(frozen=True, slots=True)
class Place:
    """A node in the drawing: a circle, or for the exit a square. A loop stands out in the direction `loop`."""

    node: Node
    at: complex
    radius: float
    loop: complex
    label: Label

    @property
    def box(self) -> Box:
        return around(self.at, 2 * self.radius, 2 * self.radius)


class _Spot(NamedTuple):
    """What is known of a node before the ellipse's size. `loop`: how far its loop stands out, 0 without one."""

    node: Node
    direction: complex
    radius: float
    loop: float


def arranged(selection: Selection) -> list[int]:
    """The nodes as they stand around: pages beside those that many go to from them, or come from; the exit last."""
    size = selection.pages
    weights = [[0.0] * size for _ in range(size)]
    for edge in selection.edges:
        if edge.target < size and edge.source != edge.target:
            weights[edge.source][edge.target] += edge.share
            weights[edge.target][edge.source] += edge.share
    return ring(weights) + list(range(size, len(selection.nodes)))


def layout(selection: Selection, order: Sequence[int], frame: Frame) -> tuple[Place, ...]:
    """A place for each node, in the selection's order. No two meet, nor do their labels."""
    looping = {edge.source for edge in selection.edges if edge.source == edge.target}
    directions = dict(zip(order, _directions(selection, frame), strict=True))
    spots = [
        _Spot(node, directions[place], _radius(node, selection, frame), LOOP * (place in looping))
        for place, node in enumerate(selection.nodes)
    ]
    size = _ellipse(spots, selection.pages, frame)
    return tuple(_place(spot, size, frame) for spot in spots)


def _radius(node: Node, selection: Selection, frame: Frame) -> float:
    """The area grows with the hits."""
    if node.kind is Kind.EXIT:
        return max(23.0, _size(node, frame) / 2 + 6)  # its label is in it
    most = max(one.hits for one in selection.nodes if one.kind is not Kind.EXIT)
    return max(frame.smallest, frame.largest * math.sqrt(node.hits / (most or 1)))


def _directions(selection: Selection, frame: Frame) -> list[complex]:
    """Points of a circle of radius 1 for the pages, and its middle for the exit, or for a page that is alone."""
    if len(selection.nodes) == 1:
        return [0j]
    exits = len(selection.nodes) - selection.pages
    return _circle(selection.pages, frame) + [RIGHT if selection.pages == 1 else 0j] * exits


def _circle(size: int, frame: Frame) -> list[complex]:
    """So many points clockwise from the top; two or one, from the left.

    A name needs room below the one above: so they keep apart in height more than they would on a circle's even parts.
    """
    if size < 3:
        return [LEFT, RIGHT][:size]
    half = size // 2
    last = half if size % 2 == 0 else half + 0.35
    right = []
    for step in range(half + 1):
        even = -math.cos(2 * math.pi * step / size)
        height = even + (2 * step / last - 1 - even) * frame.rows
        right.append(complex(math.sqrt(max(0.0, 1 - height * height)), height))
    left = [complex(-point.real, point.imag) for point in reversed(right[1:])]
    return right + left[size % 2 == 0 :]


def _ellipse(spots: Sequence[_Spot], pages: int, frame: Frame) -> complex:
    """Its half width and half height: as wide as the names allow, but not too flat."""
    height = min(1.0, 0.36 + 0.055 * pages) * frame.tallest if pages > 2 else 0
    widths = [0.37 * frame.width, height + (200 if pages > 1 else 140)]
    for spot in spots:
        if abs(spot.direction.real) > UPRIGHT:
            name = _size(spot.node, frame) + GAP if frame.beside else 0
            free = frame.width / 2 - MARGIN - spot.radius - spot.loop - name
            widths.append(free / abs(spot.direction.real))
    return complex(min(widths), height)


def _size(node: Node, frame: Frame) -> float:
    """The width of a label."""
    name = fitted(node.name, NAME, frame.longest)
    return max(width_of(name, NAME), width_of(hits(node), SMALL))


def _place(spot: _Spot, size: complex, frame: Frame) -> Place:
    at = complex(spot.direction.real * size.real, spot.direction.imag * size.imag)
    outward = _outward(spot.direction, frame)
    if spot.node.kind is Kind.EXIT:
        label = _label(spot.node, at - 0.5j * HEIGHT, "middle", frame)
    else:
        away = spot.radius + GAP + (spot.loop if frame.beside else 0)
        label = _outside(spot.node, at, outward, away, frame)
    loop = outward if frame.beside else RIGHT if at.real >= 0 else LEFT
    return Place(spot.node, at, spot.radius, loop, label)


def _outward(direction: complex, frame: Frame) -> complex:
    """Up, down, left or right, whichever leads away from the others and has room for a name."""
    if frame.beside and abs(direction.real) > UPRIGHT:
        return RIGHT if direction.real > 0 else LEFT
    return UP if direction.imag < 0 else DOWN


def _outside(node: Node, at: complex, outward: complex, away: float, frame: Frame) -> Label:
    """A label so far from the middle of its page."""
    nearest = at + outward * away
    if outward in (LEFT, RIGHT):
        anchor = "start" if outward == RIGHT else "end"
        return _label(node, nearest - 0.5j * HEIGHT, anchor, frame)
    return _label(node, nearest - (1j * HEIGHT if outward == UP else 0), "middle", frame)


def _label(node: Node, top: complex, anchor: str, frame: Frame) -> Label:
    """Its upper border's start, middle or end is at a point, or as near to that as borders allow."""
    width = _size(node, frame)
    left = top.real - _ANCHORS[anchor] * width
    border = frame.width / 2 - MARGIN
    first = APART if top.real > APART else -border  # the other half is for the names there
    last = -APART if top.real < -APART else border
    moved = min(max(left, first), last - width) - left
    box = Box(left + moved, top.imag, left + moved + width, top.imag + HEIGHT)
    name = fitted(node.name, NAME, frame.longest)
    return Label(name, hits(node), top + moved + 1j * NAME, anchor, box)
