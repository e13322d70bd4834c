"""Positions of pages and their names: on the two sides of an ellipse, with the exit in its middle. Pure.

A point is a complex number: pixels to the right of the middle of the ellipse, and below it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from promise_pub.features.visits.render.svg.captions import hits_of
from promise_pub.features.visits.render.svg.selection import Node, NodeKind, PageGraph
from promise_pub.presentation.text_size import fitted, width_of

NAME_SIZE, HITS_SIZE = 13, 11  # fonts of a page's name, and of its hits below it
HITS_BELOW = 15  # from the base line of a name to that of its hits
LABEL_HEIGHT = NAME_SIZE + HITS_BELOW + 3
MAX_NAME = 190  # a drawing of long names is as wide as a page's text
MIN_RADIUS, MAX_RADIUS = 6, 27
CLEARANCE = 10  # between the exit and curves that pass it
LOOP = 28  # how far a loop stands out from its page
GAP = 7  # between a page or its loop and its name
MARGIN = 10


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A node as a circle. Its label is outside of it in the direction `outward`, or inside where that is 0."""

    node: Node
    at: complex
    radius: float
    outward: int
    """1: to the right; -1: to the left; 0: the label is in the middle."""
    name: str
    label: Box


def arrange_pages(graph: PageGraph) -> list[int]:
    """Returns the pages' positions clockwise around the ellipse.

    The most hit page is the first. Each is followed by the one left that has the strongest transitions with it.
    """
    links = defaultdict[tuple[int, int], float](float)
    for edge in graph.edges:
        links[edge.source, edge.target] += edge.share
        links[edge.target, edge.source] += edge.share
    order: list[int] = []
    left = list(range(graph.pages))
    while left:
        order.append(max(left, key=lambda page: links[order[-1], page]) if order else left[0])
        left.remove(order[-1])
    return order


def place_nodes(graph: PageGraph, order: Sequence[int]) -> tuple[PlacedNode, ...]:
    """Returns a place for each node, in the graph's order. No two nodes meet, nor do their labels."""
    loops = {edge.source for edge in graph.edges if edge.source == edge.target}
    most = max((graph.nodes[page].hits for page in order), default=0) or 1
    right = math.ceil(len(order) / 2)
    # Many pages need a wide ellipse, and few have room for longer arrows between rows.
    half_width, row_height = 150 + 10 * right, 136 - 8 * right
    places: dict[int, PlacedNode] = {}
    for turn, page in enumerate(order):
        # Down the right side, and up the left one.
        side, step, rows = (1, turn, right) if turn < right else (-1, len(order) - 1 - turn, len(order) - right)
        height = (2 * step + 1) / rows - 1
        at = complex(side * half_width * math.sqrt(1 - height**2), height * right * row_height / 2)
        radius = max(MIN_RADIUS, MAX_RADIUS * math.sqrt(graph.nodes[page].hits / most))
        places[page] = _place(graph.nodes[page], at, radius, side, LOOP * (page in loops))
    for node in graph.nodes[len(order) :]:
        places[len(order)] = _place(node, 0j, max(26, _label_width(node) / 2 + 6), 0, 0)
    return tuple(places[position] for position in range(len(graph.nodes)))


def _place(node: Node, at: complex, radius: float, outward: int, loop: int) -> PlacedNode:
    width = _label_width(node)
    left = at.real + outward * (radius + loop + GAP) - (1 - outward) * width / 2
    top = at.imag - LABEL_HEIGHT / 2
    name = fitted(node.name, NAME_SIZE, MAX_NAME)
    return PlacedNode(node, at, radius, outward, name, Box(left, top, left + width, top + LABEL_HEIGHT))


def _label_width(node: Node) -> float:
    return max(width_of(fitted(node.name, NAME_SIZE, MAX_NAME), NAME_SIZE), width_of(hits_of(node), HITS_SIZE))


def extent(places: Sequence[PlacedNode]) -> Box:
    """Returns the borders of a drawing of these nodes and of all curves between them."""
    boxes = [place.label for place in places]
    for place in places:
        # Curves that pass the exit may be the outermost there are.
        reach = place.radius + (2 * CLEARANCE if place.node.kind is NodeKind.EXIT else 0)
        x, y = place.at.real, place.at.imag
        boxes.append(Box(x - reach, y - reach, x + reach, y + reach))
    left, top, right, bottom = zip(*boxes, strict=True)
    return Box(
        round(min(left)) - MARGIN, round(min(top)) - MARGIN, round(max(right)) + MARGIN, round(max(bottom)) + MARGIN
    )
