"""The graph of transitions as an SVG: which page leads where, and how often. Pure.

`draw_svg` draws at most 16 nodes, and returns the same bytes for the same chains. ../../static/graph.css has its look.
"""

from __future__ import annotations

from markupsafe import Markup

from promise_pub.features.visits.chains import Chains
from promise_pub.features.visits.render.svg.markup import draw_graph
from promise_pub.features.visits.render.svg.selection import select_pages
from promise_pub.presentation.svg import XMLNS, rules_of_file, tag


def draw_svg(chains: Chains) -> Markup:
    """Returns an <svg> for a page that has the rules of graph.css."""
    return draw_graph(select_pages(chains))


def draw_svg_file(chains: Chains, rules: str) -> Markup:
    """Returns an SVG file with the rules of graph.css in it, dark where the viewer's system is."""
    return draw_graph(select_pages(chains), tag("style", [rules_of_file(rules)]), xmlns=XMLNS)
