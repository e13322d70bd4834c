"""The SVG of a graph. Pure. It is well-formed whatever pages are called: names are printable, and all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from promise_pub.features.visits.render.svg import captions
from promise_pub.features.visits.render.svg.curves import Arrow, draw_arrows
from promise_pub.features.visits.render.svg.layout import (
    HITS_BELOW,
    NAME_SIZE,
    Box,
    PlacedNode,
    arrange_pages,
    extent,
    place_nodes,
)
from promise_pub.features.visits.render.svg.selection import NodeKind, PageGraph
from promise_pub.presentation.svg import number, tag

STRONG, WEAK = 0.2, 0.1  # shares of the transitions that leave a page
POINTER_REACH = "12"  # pixels: width of a curve for the pointer
_CLASSES = {NodeKind.PAGE: "page", NodeKind.OTHERS: "page others", NodeKind.EXIT: "exit"}
_ANCHORS = {1: "start", 0: "middle", -1: "end"}


def draw_graph(graph: PageGraph, *style: Markup, **attributes: str) -> Markup:
    """Returns an <svg> with a group for each node and the arrows that leave it, and the labels.

    Groups are in the order of the pages around the ellipse, so that the Tab key leads around it. Labels come last, so
    that no line crosses them.
    """
    order = arrange_pages(graph)
    places = place_nodes(graph, order)
    arrows = draw_arrows(graph.edges, places)
    order += range(len(order), len(places))
    box = extent(places) if places else Box(-180, -60, 180, 60)
    size = {"width": f"{box.right - box.left:.0f}", "height": f"{box.bottom - box.top:.0f}"}
    content = [
        tag("title", [captions.TITLE]),
        tag("desc", [captions.describe(graph)]),
        *style,
        tag("rect", class_="ground", x=number(box.left), y=number(box.top), **size),
        tag("g", [_node(position, places, arrows, graph) for position in order], class_="nodes"),
        tag("g", [label for place in places for label in _labels(place)], class_="labels", aria_hidden="true"),
    ]
    if not places:
        content.append(_text(captions.NO_HITS, 0j, 0, "name"))
    view = f"{box.left:.0f} {box.top:.0f} {size['width']} {size['height']}"
    return tag("svg", content, viewBox=view, **size, class_="transitions", role="group", **attributes)


def _node(position: int, places: Sequence[PlacedNode], arrows: Sequence[Arrow], graph: PageGraph) -> Markup:
    place = places[position]
    # The strongest comes last, and so is on top.
    own = sorted((arrow for arrow in arrows if arrow.edge.source == position), key=lambda arrow: arrow.edge.share)
    x, y, radius = number(place.at.real), number(place.at.imag), number(place.radius)
    content = [
        tag("title", [captions.figures_of(place.node)]),
        *(_arrow(arrow, graph) for arrow in own),
        tag("circle", class_="dot", cx=x, cy=y, r=radius),
    ]
    return tag("g", content, class_=_CLASSES[place.node.kind], role="img", tabindex="0")


def _arrow(arrow: Arrow, graph: PageGraph) -> Markup:
    share, target = arrow.edge.share, graph.nodes[arrow.edge.target]
    look = " strong" if share >= STRONG else " weak" if share < WEAK else ""
    leaving = " leaving" if target.kind is NodeKind.EXIT else ""
    start, *points = map(_point, arrow.curve)
    line = f"M{start}{'Q' if len(points) == 2 else 'C'}{' '.join(points)}"
    content = [
        tag("title", [captions.transition(arrow.edge, graph)]),
        tag("path", class_="reach", d=line, stroke_width=POINTER_REACH),
        tag("path", class_="way", d=line, stroke_width=number(arrow.width)),
        tag("path", class_="tip", d=f"M{'L'.join(map(_point, arrow.head))}Z"),
    ]
    return tag("g", content, class_=f"edge{look}{leaving}")


def _labels(place: PlacedNode) -> list[Markup]:
    x = {1: place.label.left, 0: place.at.real, -1: place.label.right}[place.outward]
    base = complex(x, place.label.top + NAME_SIZE)
    return [
        _text(captions.hits_of(place.node), base + 1j * HITS_BELOW, place.outward, "hits"),
        _text(place.name, base, place.outward, "name"),
    ]


def _text(text: str, at: complex, outward: int, look: str) -> Markup:
    return tag("text", [text], class_=look, text_anchor=_ANCHORS[outward], x=number(at.real), y=number(at.imag))


def _point(at: complex) -> str:
    return f"{number(at.real)} {number(at.imag)}"
