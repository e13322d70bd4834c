"""The graph of transitions as an SVG: which page leads where, and how often. Pure.

`draw_svg` draws at most 16 nodes, and returns the same bytes for the same chains. ../../static/graph.css has its look.
"""

from __future__ import annotations

import re
from functools import partial

from markupsafe import Markup

from promise_pub.features.visits.chains import Chains
from promise_pub.features.visits.render.svg.markup import draw_graph, tag
from promise_pub.features.visits.render.svg.selection import select_pages

XMLNS = "http://www.w3.org/2000/svg"

# The colours of a file, light and dark. They replace the rules' variables, which not every viewer knows.
COLOURS = {
    "panel": ("#fff", "#1a2022"),
    "ink": ("#1b211f", "#e6ebe9"),
    "soft": ("#56605c", "#a3b1ac"),
    "edge": ("#7d8884", "#77857f"),
    "accent": ("#14603d", "#6fd0a0"),
    "tint": ("#eef5f1", "#1c2b25"),
}


def draw_svg(chains: Chains) -> Markup:
    """Returns an <svg> for a page that has the rules of graph.css."""
    return draw_graph(select_pages(chains))


def draw_svg_file(chains: Chains, rules: str) -> Markup:
    """Returns an SVG file with the rules of graph.css in it, dark where the viewer's system is."""
    light, dark = (re.sub(r"var\(--(\w+)\)", partial(_colour, scheme), rules) for scheme in (0, 1))
    style = tag("style", [Markup(f"\n{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n")])
    return draw_graph(select_pages(chains), style, xmlns=XMLNS)


def _colour(scheme: int, variable: re.Match[str]) -> str:
    return COLOURS[variable[1]][scheme]
