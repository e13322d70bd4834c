"""Chains of pages as Graphviz draws them: a graph in its DOT language. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from promise_pub.features.visits.chains import EXIT, Chains, percent
from promise_pub.features.visits.render.labels import shown
from promise_pub.text import counted

FONT = "Helvetica,Arial,sans-serif"
THINNEST, THICKEST = 1, 4  # points of an arrow that nobody takes, and of one that all take


def dot(chains: Chains) -> str:
    """A directed graph, from left to right: pages with their hits, transitions with their shares, thicker the likelier.

    Whatever a page is called, it is one node, and its name is what one reads there.
    """
    settings = [f'graph [rankdir=LR, fontname="{FONT}"];']
    settings += [f'{what} [fontname="{FONT}"];' for what in ("node", "edge")]
    lines = [*settings, *_nodes(chains), *_edges(chains)]
    return "\n".join(["digraph visits {", *(f"  {line}" for line in lines), "}", ""])


def _nodes(chains: Chains) -> Iterator[str]:
    for page in chains.pages():
        yield _node(page, chains.graph.nodes[page]["hits"], "hit", "box")
    if EXIT in chains.graph:
        yield _node(EXIT, chains.graph.nodes[EXIT]["hits"], "session", "oval")


def _node(page: str, count: int, unit: str, shape: str) -> str:
    name = _escaped(page)
    label = name.replace("&", "&amp;")  # in labels, and there alone, Graphviz knows entities
    return f'"{name}" [label="{label}\\n{counted(count, unit)}", shape={shape}];'


def _edges(chains: Chains) -> Iterator[str]:
    for page in chains.pages():
        targets = chains.targets(page)
        total = sum(target.count for target in targets)
        for target in targets:
            width = THINNEST + (THICKEST - THINNEST) * target.probability
            told = f'label="{percent(target.count, total)} %", penwidth={width:.2f}'
            yield f'"{_escaped(page)}" -> "{_escaped(target.page)}" [{told}];'


def _escaped(text: str) -> str:
    r"""What stands for a text in quotes: there Graphviz reads \" as a quote and, in a label, \\ as a backslash."""
    return shown(text).replace("\\", "\\\\").replace('"', '\\"')
