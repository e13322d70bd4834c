"""Which pages of a chain are drawn, and what leads from where to where between them. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from promise_pub.features.visits.chains import EXIT, Chains
from promise_pub.features.visits.render.labels import shown

MOST = 15  # nodes besides the exit: with more of them nobody follows a line any more


class Kind(StrEnum):
    PAGE = "page"
    OTHERS = "others"
    """The pages for which there was no room, as one."""
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Node:
    """A page, many, or the exit. Its name is printable whatever the page is called."""

    kind: Kind
    name: str
    hits: int
    entries: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition between two nodes, by their places in the selection; `total` of them leave its source."""

    source: int
    target: int
    count: int
    total: int

    @property
    def share(self) -> float:
        return self.count / self.total


@dataclass(frozen=True, slots=True)
class Selection:
    """Pages by their hits, most first; then the others as one, if there are any; then the exit, if anything leads there."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    together: int
    """How many pages are drawn as one."""

    @property
    def pages(self) -> int:
        """How many nodes there are without the exit."""
        return sum(node.kind is not Kind.EXIT for node in self.nodes)


def select(chains: Chains) -> Selection:
    """All pages, or if they are more than MOST the most hit ones and one node for the others."""
    pages = chains.pages()
    single = pages if len(pages) <= MOST else pages[: MOST - 1]
    rest = pages[len(single) :]
    nodes = [_node(chains, page) for page in single]
    places = {page: place for place, page in enumerate(single)}
    if rest:
        places |= dict.fromkeys(rest, len(nodes))
        nodes.append(_together(chains, rest))
    if EXIT in chains.graph:
        places[EXIT] = len(nodes)
        nodes.append(Node(Kind.EXIT, "exit", chains.graph.nodes[EXIT]["hits"], 0))
    return Selection(tuple(nodes), _edges(chains, places), len(rest))


def _node(chains: Chains, page: str) -> Node:
    known = chains.graph.nodes[page]
    return Node(Kind.PAGE, shown(page) or "(no name)", known["hits"], known["entries"])


def _together(chains: Chains, pages: list[str]) -> Node:
    known = [chains.graph.nodes[page] for page in pages]
    hits, entries = sum(one["hits"] for one in known), sum(one["entries"] for one in known)
    return Node(Kind.OTHERS, f"{len(pages):,} other pages", hits, entries)


def _edges(chains: Chains, places: dict[str, int]) -> tuple[Edge, ...]:
    """Sorted, so that no order in which the chains were counted is seen in them."""
    counts = Counter[tuple[int, int]]()
    for source, target, count in chains.graph.edges(data="count", default=0):
        counts[places[source], places[target]] += count
    leaving = Counter[int]()
    for (place, _), count in counts.items():
        leaving[place] += count
    return tuple(Edge(*ends, counts[ends], leaving[ends[0]]) for ends in sorted(counts))
