"""What is said about the graph of transitions: for those who point at it, and those who cannot see it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from promise_pub.features.visits.chains import percent
from promise_pub.features.visits.render.svg.selection import Edge, Kind, Node, Selection
from promise_pub.text import counted

TITLE = "Where people go from page to page"
NOTHING = "No hits yet"
_HOW_TO_READ = (
    "The larger a page, the more hits it had; the wider a line, the more of those who left a page went that way. "
    "Point at a page, or go there with the Tab key, to see its ways alone."
)
_TOLD = 3  # ways that are told of, of all


def caption(selection: Selection) -> str:
    """How to read it, and what is not seen one by one."""
    return " ".join([_HOW_TO_READ, *_together(selection)])


def description(selection: Selection) -> str:
    """Its figures, and the ways that most people went."""
    hits = sum(node.hits for node in selection.nodes if node.kind is not Kind.EXIT)
    pages = selection.pages + max(0, selection.together - 1)
    most = sorted(selection.edges, key=lambda edge: -edge.count)[:_TOLD]
    ways = [f"{transition(edge, selection)}." for edge in most]
    return " ".join([f"{counted(pages, 'page')}, {counted(hits, 'hit')}.", *_together(selection), *ways])


def _together(selection: Selection) -> Iterator[str]:
    if selection.together:
        shown = selection.pages - 1
        yield f"Of {shown + selection.together:,} pages these are the {shown} most hit, and the others as one."


def transition(edge: Edge, selection: Selection) -> str:
    source, target = selection.nodes[edge.source].name, selection.nodes[edge.target].name
    share = percent(edge.count, edge.total)
    return f"{source} → {target}: {edge.count:,} of {edge.total:,} ({share} %)"


def node(one: Node) -> str:
    """A node and its figures."""
    if one.kind is Kind.EXIT:
        return f"{one.name}: {counted(one.hits, 'session')} ended"
    began = f", {counted(one.entries, 'session')} began here" if one.entries else ""
    return f"{one.name}: {hits(one)}{began}"


def hits(one: Node) -> str:
    """As it stands below a name: the exit has no hits."""
    return f"{one.hits:,}" if one.kind is Kind.EXIT else counted(one.hits, "hit")
