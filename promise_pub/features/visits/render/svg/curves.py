"""Curves between pages, each with an arrowhead. Pure. A point is a complex number, as in layout.py."""

from __future__ import annotations

from cmath import rect
from collections.abc import Sequence
from dataclasses import dataclass

from promise_pub.features.visits.render.svg.layout import CLEARANCE, LOOP, PlacedNode
from promise_pub.features.visits.render.svg.selection import Edge, NodeKind

THINNEST, WIDENING = 1.0, 5.5  # pixels of a curve that nobody takes, and what a share of 1 adds


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge as a Bézier curve with three points, or four for a loop, and the corners of its head, the tip first."""

    edge: Edge
    curve: tuple[complex, ...]
    head: tuple[complex, complex, complex]
    width: float


def draw_arrows(edges: Sequence[Edge], places: Sequence[PlacedNode]) -> tuple[Arrow, ...]:
    """Returns an arrow for each edge, the wider, the greater its share. There and back are two curves."""
    clear = max((place.radius + CLEARANCE for place in places if place.node.kind is NodeKind.EXIT), default=0.0)
    arrows = []
    for edge in edges:
        source, target = places[edge.source], places[edge.target]
        if source is target:
            arrows.append(_loop(edge, source))
            continue
        bend = _bend(source, target, clear)
        start = source.at + _unit(bend - source.at) * (source.radius + 1)
        into = _unit(target.at - bend)
        tip = target.at - into * (target.radius + 2)
        arrows.append(_with_head(edge, (start, bend), tip, into, THINNEST + WIDENING * edge.share))
    return tuple(arrows)


def _bend(source: PlacedNode, target: PlacedNode, clear: float) -> complex:
    """Returns the point that a curve bends to: seen from its source to the right, so that there and back differ.

    Between pages of one side it bends to the middle, too, away from the pages between them. A curve that would lead
    over the exit passes it on the right.
    """
    middle, along = (source.at + target.at) / 2, target.at - source.at
    right = _unit(along) * 1j
    aside = 9 + 0.05 * abs(along)
    if target.node.kind is NodeKind.EXIT:
        return middle + right * aside * 0.3
    bend = middle - middle.real * min(0.5, abs(along) / 500) + right * aside
    passes = ((middle + bend) / 2 * right.conjugate()).real  # pixels to the right of the middle of the exit
    if abs(passes) < clear:
        bend += right * 2 * (clear - passes)
    return bend


def _loop(edge: Edge, place: PlacedNode) -> Arrow:
    """Returns an arrow that leaves its page above its label and comes back below. It is narrow: there is little room."""
    apart = rect(1, max(0.45, min(1.0, 12 / place.radius)))  # a small page needs room for the head
    spread, reach = rect(1, 0.36), LOOP * 1.3
    start = place.at + place.outward / apart * (place.radius + 1)
    tip = place.at + place.outward * apart * (place.radius + 2)
    into = -place.outward * spread
    bends = (start + place.outward / spread * reach, tip - into * reach)
    return _with_head(edge, (start, *bends), tip, into, THINNEST + WIDENING * edge.share / 2)


def _with_head(edge: Edge, points: tuple[complex, ...], tip: complex, into: complex, width: float) -> Arrow:
    """Ends a curve within its head, so that it does not show beside the tip."""
    length, half = 5 + 1.4 * width, into * 1j * (2.3 + 0.8 * width)
    base = tip - into * length
    return Arrow(edge, (*points, base + into * length * 0.1), (tip, base + half, base - half), width)


def _unit(vector: complex) -> complex:
    return vector / (abs(vector) or 1)
