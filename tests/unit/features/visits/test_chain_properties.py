"""Chains and their drawings over any sessions: what must hold whoever went where."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from promise_pub.features.visits.chains import EXIT, Chains, build_chains
from promise_pub.features.visits.render.text import draw_text
from tests.visits.walks import ALL, IDLE, NOW, hits_of, steps_of

Walk = list[str]

PAGES = ["/", "/runs", "/runs/{id}", "/runs/{id}/history/{number}", "/日本語"]
ENDS = st.sampled_from([[EXIT], []])  # it has ended, or it still goes


def walks_over(pages: st.SearchStrategy[str], ends: st.SearchStrategy[Walk] = ENDS):
    walk = st.builds(list.__add__, st.lists(pages, min_size=1, max_size=8), ends)
    return st.lists(walk, max_size=8)


WALKS = walks_over(st.sampled_from(PAGES))
ANYTHING = walks_over(st.text(max_size=8).filter(lambda page: page != EXIT))
unhurried = settings(deadline=None)  # a busy machine is no fault of the code


def chains_from(walks: list[Walk]) -> Chains:
    return build_chains(steps_of(hits_of(walks), NOW, IDLE))


def transitions(walks: list[Walk]) -> Counter[tuple[str, str]]:
    """Counted where they stand in the walks, without any of what is tested."""
    return Counter(step for walk in walks for step in pairwise(walk))


def pages_of(walk: Walk) -> Walk:
    return [page for page in walk if page != EXIT]


def hits(walks: list[Walk]) -> Counter[str]:
    return Counter(page for walk in walks for page in pages_of(walk))


def leaving(walks: list[Walk]) -> Counter[str]:
    return Counter(page for walk in walks for page, _ in pairwise(walk))


@unhurried
@given(WALKS)
def test_no_hit_is_lost_and_none_made_up(walks: list[Walk]) -> None:
    chains = chains_from(walks)
    assert {page: chains.graph.nodes[page]["hits"] for page in chains.pages()} == hits(walks)
    assert chains.hits == hits(walks).total()
    assert dict(transitions(walks)) == {(a, b): n for a, b, n in chains.graph.edges(data="count")}
    assert all(count > 0 for *_, count in chains.graph.edges(data="count"))
    assert chains.sessions == len(walks)
    assert chains.ended == sum(EXIT in walk for walk in walks)
    assert chains.bounces == sum(len(walk) == 2 and EXIT in walk for walk in walks)


@unhurried
@given(WALKS)
def test_whoever_goes_on_goes_somewhere(walks: list[Walk]) -> None:
    chains = chains_from(walks)
    for page in chains.pages():
        targets = chains.targets(page)
        assert sum(target.count for target in targets) == leaving(walks)[page]
        if targets:
            assert sum(target.probability for target in targets) == pytest.approx(1, rel=1e-12)
            assert min(target.probability for target in targets) > 0


def begun_again(walks: list[Walk]) -> dict[tuple[str, str], Fraction]:
    """The chain of a visitor who never stops: from each page's hits, where the next one is."""
    entries, visits = Counter(walk[0] for walk in walks), hits(walks)
    chain = Counter[tuple[str, str]]()
    for walk in map(pages_of, walks):
        for page, after in pairwise(walk):
            chain[page, after] += Fraction(1, visits[page])
        for entry, count in entries.items():
            chain[walk[-1], entry] += Fraction(count, len(walks) * visits[walk[-1]])
    return chain


@unhurried
@given(WALKS)
def test_shares_are_the_only_ones_that_stay_as_they_are(walks: list[Walk]) -> None:
    chain, visits = begun_again(walks), hits(walks)
    share = {page: Fraction(count, visits.total()) for page, count in visits.items()}
    for page in share:
        assert sum(chain[page, after] for after in share) == 1
        assert sum(share[before] * chain[before, page] for before in share) == share[page]
    assert not walks or nx.is_strongly_connected(nx.DiGraph(list(chain)))
    assert chains_from(walks).shares() == {page: float(exact) for page, exact in share.items()}


@unhurried
@given(WALKS)
def test_pages_until_exit_are_one_more_than_from_the_next_on(walks: list[Walk]) -> None:
    until = chains_from(walks).pages_until_exit()
    counted, leave = transitions(walks), leaving(walks)
    for page, number in until.items():
        after = {b: Fraction(n, leave[page]) for (a, b), n in counted.items() if a == page}
        known = [target == EXIT or until[target] is not None for target in after]
        if number is None:
            assert not all(known) or page not in ways_out(walks)
        else:
            assert after
            assert all(known)
            rest = sum(share * (until.get(target) or 0) for target, share in after.items())
            assert number == pytest.approx(1 + rest, rel=1e-9)


def ways_out(walks: list[Walk]) -> set[str]:
    """The pages from which EXIT can be reached."""
    reached = {EXIT}
    for _ in range(len(PAGES)):
        reached |= {page for page, after in transitions(walks) if after in reached}
    return reached


@unhurried
@given(walks_over(st.sampled_from(PAGES), st.just([EXIT])).filter(bool))
def test_sessions_that_ended_had_as_many_pages_as_is_to_be_expected(walks: list[Walk]) -> None:
    until = chains_from(walks).pages_until_exit()
    expected = sum(until[walk[0]] or 0 for walk in walks) / len(walks)
    assert expected == pytest.approx(hits(walks).total() / len(walks), rel=1e-9)


LINE = re.compile(r"(?:\| (\S+) \|)? +--- +([<>]?\d+) % ---> \| (\S+) \|")


def read(drawing: str) -> list[tuple[str, str, str]]:
    """Every arrow of a drawing: from where, which percentage, to where."""
    arrows, page = [], ""
    for line in drawing.splitlines():
        if match := LINE.fullmatch(line):
            page = match[1] or page
            arrows.append((page, match[2], match[3]))
    return arrows


@unhurried
@given(st.lists(st.tuples(WALKS, st.sampled_from([1, 3, 150])), max_size=3))
def test_what_is_drawn_is_what_was_counted(groups: list[tuple[list[Walk], int]]) -> None:
    walks = [walk for group, times in groups for walk in group * times]
    counted, leave = transitions(walks), leaving(walks)
    arrows = read(draw_text(chains_from(walks), ALL, None))
    assert len(arrows) == len(counted)
    assert {(page, target) for page, _, target in arrows} == {*counted}
    for page, told, target in arrows:
        assert agrees(told, Fraction(100 * counted[page, target], leave[page]))
    order = [(-hits(walks)[p], p, -counted[p, t], t) for p, _, t in arrows]
    assert order == sorted(order)


def agrees(told: str, exact: Fraction) -> bool:
    if told == "<1":
        return 0 < exact < 1
    if told == ">99":
        return Fraction(199, 2) <= exact < 100
    return Fraction(-1, 2) < int(told) - exact <= Fraction(1, 2) and (told != "100" or exact == 100)


@unhurried
@given(ANYTHING, st.integers(1, 120) | st.none())
def test_whatever_pages_are_called_it_fits(walks: list[Walk], width: int | None) -> None:
    drawing = draw_text(chains_from(walks), ALL, width)
    lines = drawing.split("\n")
    assert lines.pop() == ""
    assert drawing.replace("\n", "").isprintable()
    assert all(line == line.rstrip() for line in lines)
    assert width is None or max(map(cell_len, lines)) <= width


@unhurried
@given(ANYTHING.filter(bool), st.integers(34, 120) | st.none())
def test_boxes_stay_whole_and_in_line(walks: list[Walk], width: int | None) -> None:
    lines = draw_text(chains_from(walks), "", width).removeprefix("\n").splitlines()
    for above, middle, below in zip(lines[1::4], lines[2::4], lines[3::4], strict=True):
        assert above == below
        corners = [place for place, character in enumerate(above) if character == "+"]
        assert len(corners) in (2, 4)
        assert cell_len(middle) == len(above)
        assert middle.endswith("|")
    assert not any(lines[0::4])
    columns = {line.rindex("+", 0, -1) for line in lines[1::4] if line.count("+") == 4}
    columns |= {line.index("+") for line in lines[1::4] if line.startswith(" ")}
    assert len(columns) <= 1, "targets stand below each other"
