"""Sessions as a Markov chain of pages: hits of each page, and transitions between pages. Pure.

networkx and numpy are imported where they are used: they cost a third of a command's start, and 40 MB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import networkx as nx

EXIT = "exit"  # the node after the last page of an ended session; no page has this name


class Step(NamedTuple):
    """Hits of the same kind, counted by the database."""

    page: str
    first: bool
    """True for the first hits of sessions."""
    next: str | None
    """The next page; None for the last hits of sessions."""
    ended: bool
    """True for the last hits of sessions that have ended."""
    count: int  # type: ignore[assignment]  # hides a method of tuple


class Target(NamedTuple):
    """The target of transitions from a page: another page, the same page again, or EXIT."""

    page: str
    count: int  # type: ignore[assignment]  # as above
    probability: float


@dataclass(frozen=True, slots=True)
class Chains:
    """A frozen graph of pages, and of EXIT if a session has ended.

    Nodes have `hits` and `entries` (sessions that began there); EXIT has the exits as its hits, and no entries.
    Edges have `count` and `probability`: their share of all transitions that leave the page. The last hit of an active
    session is a hit without a transition.
    """

    graph: nx.DiGraph[str]
    sessions: int
    ended: int
    bounces: int
    """Number of ended sessions of one hit."""

    @property
    def hits(self) -> int:
        return sum(self.graph.nodes[page]["hits"] for page in self.pages())

    @property
    def bounce_rate(self) -> float | None:
        """Share of bounces among ended sessions, or None while no session has ended."""
        return self.bounces / self.ended if self.ended else None

    def pages(self) -> list[str]:
        """Returns all nodes but EXIT by hits, most first, then by name."""
        nodes = self.graph.nodes
        pages = (page for page in nodes if page != EXIT)
        return sorted(pages, key=lambda page: (-nodes[page]["hits"], page))

    def targets(self, page: str) -> list[Target]:
        """Returns the targets of a page by count, highest first, then by name. Raises KeyError for an unknown page."""
        targets = (Target(target, **edge) for target, edge in self.graph.adj[page].items())
        return sorted(targets, key=lambda target: (-target.count, target.page))

    def shares(self) -> dict[str, float]:
        """Returns the share of time that a visitor who never stops spends on each page, in the order of `pages`.

        A visitor who leaves starts again, on each page as often as sessions began there; an active session counts as
        ended after its last hit. The stationary distribution of this chain is exactly hits / all hits. Proof: let every
        page have as many visitors as it had hits, and let each take a different one of the steps that were recorded
        from there. Then a page receives as many visitors as came to it from other pages, and as many new ones as
        sessions began there: together its hits, so nothing has changed. The distribution is unique, because every page
        leads to the end of a session, and from there to every page.
        """
        pages, hits = self.pages(), self.hits
        return {page: self.graph.nodes[page]["hits"] / hits for page in pages}

    def pages_until_exit(self) -> dict[str, float | None]:
        """Returns the expected number of pages from each page until the exit, this page included.

        It is None where a page can be reached from which no session has reached the exit.
        """
        import networkx as nx

        pages = self.pages()
        leaving = nx.ancestors(self.graph, EXIT) if EXIT in self.graph else set[str]()
        lost = {page for page in pages if page not in leaving}
        lost |= set(chain.from_iterable(nx.ancestors(self.graph, page) for page in lost))
        expected = _solve_until_exit(self.graph, [page for page in pages if page not in lost])
        return {page: expected.get(page) for page in pages}


def build_chains(steps: Iterable[Step]) -> Chains:
    """Returns the chains of steps. Equal steps add up.

    The steps must be those of whole sessions, each with one first hit and one last.
    """
    counted = Counter[Step]()
    for step in steps:
        counted[step._replace(count=0)] += step.count
    last = {step: count for step, count in counted.items() if step.next is None}
    return Chains(
        graph=_graph(counted),
        sessions=sum(last.values()),
        ended=sum(count for step, count in last.items() if step.ended),
        bounces=sum(count for step, count in last.items() if step.ended and step.first),
    )


def format_percent(count: int, total: int) -> str:
    """Formats a share in whole percents, half a percent rounded up, without the sign.

    More than nothing is never "0" but "<1", and less than all never "100" but ">99". The total must be at least 1.
    """
    if 0 < count * 100 < total:
        return "<1"
    # Integers, because a float may be rounded either way at half a percent.
    rounded = (200 * count + total) // (2 * total)
    return ">99" if rounded == 100 and count < total else str(rounded)


def _graph(counted: Counter[Step]) -> nx.DiGraph[str]:
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    for step, count in counted.items():
        _count_hits(graph, step.page, count, entries=count if step.first else 0)
        if step.next is not None:
            _count_hits(graph, step.next, 0, entries=0)
            _count_transitions(graph, step.page, step.next, count)
        elif step.ended:
            _count_hits(graph, EXIT, count, entries=0)
            _count_transitions(graph, step.page, EXIT, count)
    for page in graph:
        leaving = graph.out_degree(page, weight="count")
        for edge in graph.adj[page].values():
            edge["probability"] = edge["count"] / leaving
    nx.freeze(graph)
    return graph


def _count_hits(graph: nx.DiGraph[str], page: str, hits: int, entries: int) -> None:
    if page not in graph:
        graph.add_node(page, hits=0, entries=0)
    graph.nodes[page]["hits"] += hits
    graph.nodes[page]["entries"] += entries


def _count_transitions(graph: nx.DiGraph[str], page: str, target: str, count: int) -> None:
    if not graph.has_edge(page, target):
        graph.add_edge(page, target, count=0)
    graph.edges[page, target]["count"] += count


def _solve_until_exit(graph: nx.DiGraph[str], pages: Sequence[str]) -> dict[str, float]:
    """Returns the expected number of pages until EXIT, for pages from each of which EXIT is certainly reached.

    Solves (I - Q) x = 1, with each line multiplied by the number of transitions that leave its page. So all numbers in
    it are integers without rounding errors, however rare exits are.
    """
    import networkx as nx
    import numpy as np

    if not pages:
        return {}
    counts = nx.to_numpy_array(graph, nodelist=pages, weight="count", dtype=np.dtype(float))
    leaving = np.array([graph.out_degree(page, weight="count") for page in pages], float)
    return dict(zip(pages, np.linalg.solve(np.diag(leaving) - counts, leaving).tolist(), strict=True))
