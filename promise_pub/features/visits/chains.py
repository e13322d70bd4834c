"""Sessions as a Markov chain of pages: how often each was hit, and where people went from there. Pure.

networkx and numpy are loaded by who computes: a third of a command's start, and 40 MB, that all others do without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import networkx as nx

EXIT = "exit"  # the node after the last page of an ended session; no page is called so


class Step(NamedTuple):
    """Hits that are alike, counted by the database."""

    page: str
    first: bool
    """They are the first of their sessions."""
    next: str | None
    """The page after them; None: they are the last of their sessions."""
    ended: bool
    """Their sessions have ended; False for all but last hits."""
    count: int  # type: ignore[assignment]  # tuple's method of that name is of no use here


class Target(NamedTuple):
    """Where people went from a page: another, the same again, or EXIT."""

    page: str
    count: int  # type: ignore[assignment]  # as above
    probability: float


@dataclass(frozen=True, slots=True)
class Chains:
    """A graph, frozen, of pages and EXIT, which is there only when something leads to it.

    Nodes have `hits` and `entries` (sessions that began there); EXIT has the exits as its hits, and no entries.
    Edges have `count` and `probability`: their share of all transitions that leave the page. The last hit of a
    session that still goes is a hit and no transition.
    """

    graph: nx.DiGraph[str]
    sessions: int
    ended: int
    bounces: int
    """Ended sessions of one hit."""

    @property
    def hits(self) -> int:
        return sum(self.graph.nodes[page]["hits"] for page in self.pages())

    @property
    def bounce_rate(self) -> float | None:
        """The share of bounces in the ended sessions, or None while none has ended."""
        return self.bounces / self.ended if self.ended else None

    def pages(self) -> list[str]:
        """All but EXIT, in order of their hits, most first, then by name."""
        nodes = self.graph.nodes
        pages = (page for page in nodes if page != EXIT)
        return sorted(pages, key=lambda page: (-nodes[page]["hits"], page))

    def targets(self, page: str) -> list[Target]:
        """Where people went from a page, most often first, then by name. KeyError: nobody was on it."""
        targets = (Target(target, **edge) for target, edge in self.graph.adj[page].items())
        return sorted(targets, key=lambda target: (-target.count, target.page))

    def shares(self) -> dict[str, float]:
        """The share of time that a visitor who never stops spends on each page, in the order of `pages`.

        Who leaves begins again, on each page as often as sessions began there; a session that still goes is taken
        to end at its last hit. Of that chain this is the stationary distribution, and it is exactly hits / all hits:
        let every page have as many visitors as it had hits, and let each take a different one of the steps that were
        taken from there. Then as many come to a page as went to it from others, and those who begin again on it are
        as many as sessions began there. Together that is the number of its hits: nothing has changed. No other
        distribution stays so, because from every page a session went on to its end, and from there every page can
        be reached.
        """
        pages, hits = self.pages(), self.hits
        return {page: self.graph.nodes[page]["hits"] / hits for page in pages}

    def pages_until_exit(self) -> dict[str, float | None]:
        """How many pages a visitor can be expected to see from each on, this one included, until they leave.

        None where a page can be reached that nobody was seen to leave by any way: there is no saying.
        """
        import networkx as nx

        pages = self.pages()
        leaving = nx.ancestors(self.graph, EXIT) if EXIT in self.graph else set[str]()
        lost = {page for page in pages if page not in leaving}
        lost |= set(chain.from_iterable(nx.ancestors(self.graph, page) for page in lost))
        expected = _absorbed(self.graph, [page for page in pages if page not in lost])
        return {page: expected.get(page) for page in pages}


def build_chains(steps: Iterable[Step]) -> Chains:
    """The chains that hits make; steps that differ in their counts alone add up.

    Steps must be those of whole sessions: each has one first hit and one last.
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


def percent(count: int, total: int) -> str:
    """A share in whole percents, half of one rounded up, without the sign.

    What is there is never "0" but "<1" when it is under 1 %, and what is not all is never "100" but ">99". The total
    is at least 1.
    """
    if 0 < count * 100 < total:
        return "<1"
    rounded = (200 * count + total) // (2 * total)  # whole numbers: a float would round 0.5 either way
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


def _absorbed(graph: nx.DiGraph[str], pages: Sequence[str]) -> dict[str, float]:
    """The expected number of pages until EXIT: x with (I - Q) x = 1, from each of which EXIT is certain to be reached.

    Each line of it is multiplied by the transitions that leave its page: what goes into it are whole numbers, which
    no rounding has touched, however rarely people leave.
    """
    import networkx as nx
    import numpy as np

    if not pages:
        return {}
    counts = nx.to_numpy_array(graph, nodelist=pages, weight="count", dtype=np.dtype(float))
    leaving = np.array([graph.out_degree(page, weight="count") for page in pages], float)
    return dict(zip(pages, np.linalg.solve(np.diag(leaving) - counts, leaving).tolist(), strict=True))
