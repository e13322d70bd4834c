"""The chains of pages as a picture: which page leads where, and how often. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from promise_pub.features.visits.chains import Chains
from promise_pub.features.visits.render.svg.captions import caption
from promise_pub.features.visits.render.svg.layout import LANDSCAPE, PORTRAIT, arranged
from promise_pub.features.visits.render.svg.markup import drawing, nothing, tag
from promise_pub.features.visits.render.svg.scene import picture
from promise_pub.features.visits.render.svg.selection import Selection, select
from promise_pub.features.visits.render.svg.style import standalone as own_look

XMLNS = "http://www.w3.org/2000/svg"


def svg(chains: Chains, *, standalone: bool = False) -> str:
    """The graph of transitions: markup that goes into a page as it is, the same bytes for the same chains.

    For a page it is a <div> with two drawings and how to read them. static/style.css shows one: on phones the high one,
    else the wide one. Standalone that one is a file, with its look in it, light and dark.
    All pages are drawn, or where they are many the most hit ones, and the others as one node. Without hits it is a
    small picture that says so.
    """
    selection = select(chains)
    if standalone:
        return _file(selection)
    content = _drawings(selection) if selection.nodes else [nothing()]
    return tag("div", content, class_="transitions")


def _drawings(selection: Selection) -> Iterator[Markup]:
    order = arranged(selection)
    for frame in (LANDSCAPE, PORTRAIT):
        yield drawing(selection, picture(selection, order, frame), order, class_=frame.name)
    yield tag("p", [caption(selection)])


def _file(selection: Selection) -> Markup:
    look = {"xmlns": XMLNS, "class_": "transitions"}
    style = tag("style", [Markup(own_look())])
    if not selection.nodes:
        return nothing(style, **look)
    order = arranged(selection)
    return drawing(selection, picture(selection, order, LANDSCAPE), order, style, **look)
