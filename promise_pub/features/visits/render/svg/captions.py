"""Texts of the graph of transitions: tooltips, and a description for people who cannot see it. Pure."""

from __future__ import annotations

from promise_pub.features.visits.chains import format_percent
from promise_pub.features.visits.render.svg.selection import Edge, Node, NodeKind, PageGraph
from promise_pub.text import counted

TITLE = "Where people go from page to page"
NO_HITS = "No hits yet"
MOST_TAKEN = 3  # transitions that the description names


def describe(graph: PageGraph) -> str:
    """Returns the figures of the graph, and its most frequent transitions."""
    if not graph.nodes:
        return NO_HITS
    hits = sum(node.hits for node in graph.nodes if node.kind is not NodeKind.EXIT)
    sentences = [f"{counted(graph.pages + max(0, graph.merged - 1), 'page')}, {counted(hits, 'hit')}."]
    if graph.merged:
        single = graph.pages - 1
        sentences.append(f"Of {single + graph.merged:,} pages these are the {single} most hit, and the others as one.")
    most = sorted(graph.edges, key=lambda edge: -edge.count)[:MOST_TAKEN]
    return " ".join([*sentences, *(f"{transition(edge, graph)}." for edge in most)])


def transition(edge: Edge, graph: PageGraph) -> str:
    source, target = graph.nodes[edge.source].name, graph.nodes[edge.target].name
    return f"{source} → {target}: {edge.count:,} of {edge.total:,} ({format_percent(edge.count, edge.total)} %)"


def figures_of(node: Node) -> str:
    if node.kind is NodeKind.EXIT:
        return f"{node.name}: {counted(node.hits, 'session')} ended"
    began = f", {counted(node.entries, 'session')} began here" if node.entries else ""
    return f"{node.name}: {hits_of(node)}{began}"


def hits_of(node: Node) -> str:
    """Returns the second line of a node's label. The exit has no hits, but sessions that ended."""
    return f"{node.hits:,}" if node.kind is NodeKind.EXIT else counted(node.hits, "hit")
