"""Nodes and edges of the drawing: the most hit pages, the others as one node, and the exit. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from promise_pub.features.visits.chains import EXIT, Chains
from promise_pub.features.visits.render.labels import label_of

MAX_PAGES = 15  # nodes besides the exit: nobody can follow the lines between more


class NodeKind(StrEnum):
    PAGE = "page"
    OTHERS = "others"
    """All pages that have no node of their own."""
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the graph. Its name is printable, whatever the page is called."""

    kind: NodeKind
    name: str
    hits: int
    entries: int = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """The transitions between two nodes, given by their positions in the graph; `total` transitions leave its source."""

    source: int
    target: int
    count: int
    total: int

    @property
    def share(self) -> float:
        return self.count / self.total


@dataclass(frozen=True, slots=True)
class PageGraph:
    """Pages by their hits, most first; then the other pages as one node, and the exit, if there are any."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    merged: int
    """Number of pages in the node for the others."""

    @property
    def pages(self) -> int:
        """Number of nodes without the exit."""
        return sum(node.kind is not NodeKind.EXIT for node in self.nodes)


def select_pages(chains: Chains) -> PageGraph:
    """Takes all pages, or if there are more than MAX_PAGES the most hit ones and one node for the others."""
    known, pages = chains.graph.nodes, chains.pages()
    single = pages if len(pages) <= MAX_PAGES else pages[: MAX_PAGES - 1]
    others = pages[len(single) :]
    positions = {page: position for position, page in enumerate(single)} | dict.fromkeys(others, len(single))
    nodes = [
        Node(NodeKind.PAGE, label_of(page) or "(no name)", known[page]["hits"], known[page]["entries"])
        for page in single
    ]
    if others:
        hits, entries = (sum(known[page][figure] for page in others) for figure in ("hits", "entries"))
        nodes.append(Node(NodeKind.OTHERS, f"{len(others):,} other pages", hits, entries))
    if EXIT in chains.graph:
        positions[EXIT] = len(nodes)
        nodes.append(Node(NodeKind.EXIT, "exit", known[EXIT]["hits"]))
    return PageGraph(tuple(nodes), _edges(chains, positions), len(others))


def _edges(chains: Chains, positions: dict[str, int]) -> tuple[Edge, ...]:
    """Returns the edges sorted, so that the order in which hits were counted does not show."""
    counts, leaving = Counter[tuple[int, int]](), Counter[int]()
    for source, target, count in chains.graph.edges(data="count", default=0):
        counts[positions[source], positions[target]] += count
        leaving[positions[source]] += count
    return tuple(Edge(source, target, counts[source, target], leaving[source]) for source, target in sorted(counts))
