"""The ways between pages, as curves with a head. Pure. A point is a complex number, as in layout.py."""

from __future__ import annotations

from cmath import rect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from promise_pub.features.visits.render.svg.layout import LOOP, Place
from promise_pub.features.visits.render.svg.selection import Edge, Kind, Selection

_THINNEST, _THICKER = 1.0, 5.5  # units; what a share of 1 adds
_CLEAR = 7  # units between a way and a page that it passes
_NEAR = 50  # units between points of a way where this is looked at
_PULLS = (
    0.3,
    0.45,
    0.15,
    0.6,
    0.0,
    0.8,
    -0.2,
    1.0,
    -0.4,
)  # how far ways are drawn to the middle; tried in this order
_PUSHES = (1.0, 1.6, 2.2, 3.0, 4.0)  # how far they are pushed aside, times what is usual


@dataclass(frozen=True, slots=True)
class Curve:
    """A quadratic curve by its three points, or for a loop a cubic one by four."""

    points: tuple[complex, ...]

    def at(self, part: float) -> complex:
        """A point on it, from 0 at its start to 1 at its end."""
        rest = 1 - part
        start, bend, *more, end = self.points
        if not more:
            return start * (rest * rest) + bend * (2 * rest * part) + end * (part * part)
        edges = start * rest**3 + end * part**3
        return edges + 3 * rest * part * (bend * rest + more[0] * part)


@dataclass(frozen=True, slots=True)
class Way:
    """An edge as it is drawn. `head` are the corners of its arrowhead, the tip first."""

    edge: Edge
    curve: Curve
    width: float
    head: tuple[complex, complex, complex]

    @property
    def loop(self) -> bool:
        return self.edge.source == self.edge.target


def ways(selection: Selection, places: Sequence[Place]) -> tuple[Way, ...]:
    """A way for each edge, in the selection's order: the wider, the greater its share.

    There and back are two curves. None leads over a node that it does not belong to, as long as there is a way around.
    """
    return tuple(_way(edge, places) for edge in selection.edges)


def _way(edge: Edge, places: Sequence[Place]) -> Way:
    source, target = places[edge.source], places[edge.target]
    if source is target:
        return _loop(edge, source, _THINNEST + _THICKER * edge.share / 2)
    width = _THINNEST + _THICKER * edge.share
    bend = _bend(source, target, places)
    start = source.at + unit(bend - source.at) * (source.radius + 1)
    into = unit(target.at - bend)
    tip = target.at - into * (_border(target, into) + 2)
    return _ending(edge, (start, bend), tip, into, width)


def _loop(edge: Edge, place: Place, width: float) -> Way:
    """It leaves its page on one side of the direction in which it stands out, and comes back on the other.

    It is half as wide as other ways: there is little room for a head.
    """
    apart = rect(1, max(0.45, min(1.0, 12 / place.radius)))  # a small page needs room for the head
    spread, reach = rect(1, 0.36), LOOP * 1.3
    start = place.at + place.loop / apart * (place.radius + 1)
    tip = place.at + place.loop * apart * (place.radius + 2)
    into = -place.loop * spread
    bends = (start + place.loop / spread * reach, tip - into * reach)
    return _ending(edge, (start, *bends), tip, into, width)


def _ending(edge: Edge, points: tuple[complex, ...], tip: complex, into: complex, width: float) -> Way:
    """With a head of its width; the line ends within it, so that it does not show beside the tip."""
    length, half = 5 + 1.4 * width, into * 1j * (2.3 + 0.8 * width)
    base = tip - into * length
    curve = Curve((*points, base + into * length * 0.1))
    return Way(edge, curve, width, (tip, base + half, base - half))


def unit(vector: complex) -> complex:
    """Its direction, as a vector of length 1."""
    return vector / (abs(vector) or 1)


def _border(place: Place, into: complex) -> float:
    """How far its border is from its middle, seen from where a way comes in; the exit is a square."""
    if place.node.kind is Kind.EXIT:
        return place.radius / max(abs(into.real), abs(into.imag)) * 0.97
    return place.radius


def _bend(source: Place, target: Place, places: Sequence[Place]) -> complex:
    """The point a way bends to: to the middle, and to the right as one goes, so that there and back are two.

    It is the first that keeps both clear of all other nodes, or the one with which they touch them least.
    """
    middle, along = (source.at + target.at) / 2, target.at - source.at
    aside = unit(along) * 1j * (9 + 0.05 * abs(along))
    if Kind.EXIT in (source.node.kind, target.node.kind):
        return middle + aside * 0.3
    others = [place for place in places if place is not source and place is not target]
    best, least = middle, float("inf")
    for push, pull in product(_PUSHES, _PULLS):
        drawn = middle - middle * pull
        bends = (drawn + aside * push, drawn - aside * push)
        touched = sum(_touched(Curve((source.at, bend, target.at)), others) for bend in bends)
        if touched < least:
            best, least = bends[0], touched
        if not touched:
            break
    return best


def _touched(curve: Curve, places: Iterable[Place]) -> float:
    """How far a curve leads into the surroundings of nodes."""
    steps = 6 + int(abs(curve.points[-1] - curve.points[0]) / _NEAR)
    points = [curve.at(step / steps) for step in range(1, steps)]
    nearest = ((place, min(abs(point - place.at) for point in points)) for place in places)
    return sum(max(0.0, place.radius + _CLEAR - distance) for place, distance in nearest)
