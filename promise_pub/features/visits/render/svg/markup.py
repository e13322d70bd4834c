"""A picture → SVG. Pure. It is well formed whatever pages are called: names are printable, and all text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from markupsafe import Markup, escape

from promise_pub.features.visits.render.svg import captions
from promise_pub.features.visits.render.svg.curves import Way
from promise_pub.features.visits.render.svg.layout import BELOW, Place
from promise_pub.features.visits.render.svg.percentages import STRONG, WEAK, Number
from promise_pub.features.visits.render.svg.scene import Picture
from promise_pub.features.visits.render.svg.selection import Kind, Selection
from promise_pub.features.visits.render.svg.text_size import Box

_KINDS = {Kind.PAGE: "page", Kind.OTHERS: "page others", Kind.EXIT: "exit"}
_REACH = "12"  # units: how wide a line is for who points at it
_EMPTY = Box(-180, -60, 180, 60)


def tag(name: str, content: Iterable[str] = (), **attributes: str) -> Markup:
    """An element. Of an attribute's name, an underscore at the end is dropped and others are hyphens."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{written}>{''.join(map(escape, content))}</{name}>")


def drawing(selection: Selection, picture: Picture, order: Sequence[int], *style: Markup, **look: str) -> Markup:
    """An <svg>, with a group for each node and the ways that leave it.

    They come in the ring's order, so that the Tab key leads around it; labels come last, so that no line crosses them.
    """
    nodes = [_node(place, picture, selection) for place in order]
    labels = [label for place in picture.places for label in _label(place)]
    content = [
        *style,
        tag("g", nodes, class_="nodes"),
        tag("g", labels, class_="labels", aria_hidden="true"),
    ]
    return _svg(picture.box, captions.description(selection), content, **look)


def nothing(*style: Markup, **look: str) -> Markup:
    """What is drawn where there are no hits: a page that nobody was on."""
    dot = tag("circle", class_="dot", cx="0", cy="-14", r="22")
    text = _text(captions.NOTHING, 32j, "middle", "name")
    page = tag("g", [dot, text], class_="page others")
    return _svg(_EMPTY, captions.NOTHING, [*style, page], **(look or {"class_": "nothing"}))


def _svg(box: Box, description: str, content: Iterable[Markup], **look: str) -> Markup:
    size = {"width": f"{box.right - box.left:.0f}", "height": f"{box.bottom - box.top:.0f}"}
    view = f"{box.left:.0f} {box.top:.0f} {size['width']} {size['height']}"
    ground = tag("rect", class_="ground", **_placed(complex(box.left, box.top)), **size)
    named = [tag("title", [captions.TITLE]), tag("desc", [description])]
    return tag("svg", [*named, ground, *content], viewBox=view, role="group", **look)


def _node(position: int, picture: Picture, selection: Selection) -> Markup:
    place = picture.places[position]
    title = tag("title", [captions.node(place.node)])
    edges = [_edge(way, number, selection) for way, number in picture.leaving(position)]
    content = [title, *edges, _dot(place)]
    return tag("g", content, class_=_KINDS[place.node.kind], role="img", tabindex="0")


def _edge(way: Way, number: Number | None, selection: Selection) -> Markup:
    start, *points = map(_point, way.curve.points)
    line = f"M{start}{'Q' if len(points) == 2 else 'C'}{' '.join(points)}"
    content = [
        tag("title", [captions.transition(way.edge, selection)]),
        tag("path", class_="reach", d=line, stroke_width=_REACH),
        tag("path", class_="way", d=line, stroke_width=_number(way.width)),
        tag("path", class_="tip", d=f"M{'L'.join(map(_point, way.head))}Z"),
    ]
    if number:
        content.append(_text(number.text, number.at, "middle", "share"))
    return tag("g", content, class_=" ".join(_looks(way, selection)))


def _looks(way: Way, selection: Selection) -> Iterator[str]:
    yield "edge"
    if way.edge.share >= STRONG:
        yield "strong"
    elif way.edge.share < WEAK:
        yield "weak"
    if selection.nodes[way.edge.target].kind is Kind.EXIT:
        yield "leaving"


def _dot(place: Place) -> Markup:
    if place.node.kind is Kind.EXIT:
        side = _number(2 * place.radius)
        corner = _placed(place.at - place.radius * (1 + 1j))
        return tag("rect", class_="dot", width=side, height=side, rx="8", **corner)
    at = {"cx": _number(place.at.real), "cy": _number(place.at.imag)}
    return tag("circle", class_="dot", r=_number(place.radius), **at)


def _label(place: Place) -> Iterator[Markup]:
    label = place.label
    inside = " inside" if place.node.kind is Kind.EXIT else ""
    yield _text(label.hits, label.at + 1j * BELOW, label.anchor, f"hits{inside}")
    yield _text(label.name, label.at, label.anchor, f"name{inside}")


def _text(text: str, at: complex, anchor: str, look: str) -> Markup:
    return tag("text", [text], class_=look, text_anchor=anchor, **_placed(at))


def _placed(at: complex) -> dict[str, str]:
    return {"x": _number(at.real), "y": _number(at.imag)}


def _point(at: complex) -> str:
    return f"{_number(at.real)} {_number(at.imag)}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
