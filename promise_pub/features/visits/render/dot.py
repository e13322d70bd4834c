"""Transitions as a graph in the DOT language of Graphviz. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from promise_pub.features.visits.chains import EXIT, Chains, format_percent
from promise_pub.features.visits.render.labels import label_of
from promise_pub.text import counted

FONT = "Helvetica,Arial,sans-serif"
MIN_WIDTH, MAX_WIDTH = 1, 4  # points of an arrow, by its share


def draw_dot(chains: Chains) -> str:
    """Returns a directed graph from left to right: pages with their hits, transitions with their shares.

    Each page is one node with its name, whatever characters are in it.
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
    # Graphviz knows entities in labels, and only there.
    label = name.replace("&", "&amp;")
    return f'"{name}" [label="{label}\\n{counted(count, unit)}", shape={shape}];'


def _edges(chains: Chains) -> Iterator[str]:
    for page in chains.pages():
        targets = chains.targets(page)
        total = sum(target.count for target in targets)
        for target in targets:
            width = MIN_WIDTH + (MAX_WIDTH - MIN_WIDTH) * target.probability
            attributes = f'label="{format_percent(target.count, total)} %", penwidth={width:.2f}'
            yield f'"{_escaped(page)}" -> "{_escaped(target.page)}" [{attributes}];'


def _escaped(text: str) -> str:
    r"""Returns a name for quotes, where Graphviz reads \" as a quote and, in a label, \\ as a backslash."""
    return label_of(text).replace("\\", "\\\\").replace('"', '\\"')
