"""The graph of transitions: all of them are in it, nothing covers a name, and no name breaks it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations, pairwise, permutations
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.features.visits.chains import Chains, Step, build_chains
from promise_pub.features.visits.render.svg import draw_svg, draw_svg_file
from promise_pub.features.visits.render.svg.curves import Arrow, draw_arrows
from promise_pub.features.visits.render.svg.layout import Box, PlacedNode, arrange_pages, extent, place_nodes
from promise_pub.features.visits.render.svg.selection import Edge, Node, NodeKind, PageGraph, select_pages
from promise_pub.presentation.svg import XMLNS
from promise_pub.presentation.text_size import fitted, width_of
from tests.visits.graph_parts import SITE, every_page_to_every_page, some_chains, walked

PACKAGE = Path(__file__).parents[4] / "promise_pub"
RULES = (PACKAGE / "features" / "visits" / "static" / "graph.css").read_text()


def parsed(chains: Chains) -> Element:
    return ElementTree.fromstring(draw_svg(chains))


def nodes(drawing: Element) -> list[Element]:
    return drawing.findall("g[@class='nodes']/g")


def pages(drawing: Element) -> list[Element]:
    return [node for node in nodes(drawing) if "page" in (node.get("class") or "")]


def edges(node: Element) -> list[Element]:
    return [one for one in node.findall("g") if "edge" in (one.get("class") or "").split()]


def title(element: Element) -> str:
    return element.findtext("title") or ""


def texts(drawing: Element, look: str) -> list[str]:
    return [one.text or "" for one in drawing.iter("text") if one.get("class") == look]


class Drawing(NamedTuple):
    graph: PageGraph
    order: list[int]
    places: tuple[PlacedNode, ...]
    arrows: tuple[Arrow, ...]
    borders: Box


def drawn(chains: Chains) -> Drawing:
    graph = select_pages(chains)
    order = arrange_pages(graph)
    places = place_nodes(graph, order)
    return Drawing(graph, order, places, draw_arrows(graph.edges, places), extent(places))


def meet(one: Box, other: Box) -> bool:
    return one.left < other.right and other.left < one.right and one.top < other.bottom and other.top < one.bottom


def distance(box: Box, point: complex) -> float:
    aside = max(box.left - point.real, 0.0, point.real - box.right)
    return abs(complex(aside, max(box.top - point.imag, 0.0, point.imag - box.bottom)))


def points(arrow: Arrow, steps: int = 20) -> Iterator[complex]:
    """Points of a curve from its start to its end, by De Casteljau's rule."""
    for step in range(steps + 1):
        left = list(arrow.curve)
        while len(left) > 1:
            left = [one + (other - one) * step / steps for one, other in pairwise(left)]
        yield left[0]


def test_there_is_a_node_for_each_page_and_an_edge_for_each_transition() -> None:
    drawing = parsed(SITE)
    assert {title(page).split(":")[0] for page in pages(drawing)} == set(SITE.pages())
    assert len(pages(drawing)) == len(SITE.pages())
    titles = {title(edge).split(":")[0] for node in nodes(drawing) for edge in edges(node)}
    assert titles == {f"{source} → {target}" for source, target in SITE.graph.edges}
    assert sum(len(edges(node)) for node in nodes(drawing)) == SITE.graph.number_of_edges()


def test_edges_are_grouped_with_the_page_they_leave() -> None:
    for node in nodes(parsed(SITE)):
        own = title(node).split(":")[0]
        assert all(title(edge).startswith(f"{own} → ") for edge in edges(node))


def test_tooltips_have_the_figures() -> None:
    chains = build_chains(
        [
            Step("/", True, "/runs", False, 12),
            Step("/", True, None, True, 333),
            Step("/runs", False, None, True, 12),
        ]
    )
    drawing = parsed(chains)
    assert [title(node) for node in nodes(drawing)] == [
        "/: 345 hits, 345 sessions began here",
        "/runs: 12 hits",
        "exit: 345 sessions ended",
    ]
    titles = {title(edge) for node in nodes(drawing) for edge in edges(node)}
    assert "/ → /runs: 12 of 345 (3 %)" in titles
    assert "/ → exit: 333 of 345 (97 %)" in titles


def test_a_node_s_area_grows_with_its_hits() -> None:
    hits = {"/a": 10_000, "/b": 2_500, "/c": 400, "/d": 1}
    chains = build_chains(Step(page, True, None, True, count) for page, count in hits.items())
    radii = {
        title(node).split(":")[0]: float(node.find("circle").get("r"))  # type: ignore[union-attr,arg-type]
        for node in pages(parsed(chains))
    }
    assert radii["/a"] == pytest.approx(2 * radii["/b"], abs=0.1)
    assert radii["/b"] > radii["/c"] >= radii["/d"] > 3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", range(1, 16))
def test_no_name_covers_anything_or_is_cut_off(count: int, seed: int) -> None:
    drawing = drawn(some_chains(count, seed))
    for one, other in combinations(drawing.places, 2):
        assert not meet(one.label, other.label), f"{one.name} and {other.name}"
    for place in drawing.places:
        assert drawing.borders.left <= place.label.left < place.label.right <= drawing.borders.right, place.name
        assert drawing.borders.top <= place.label.top < place.label.bottom <= drawing.borders.bottom, place.name
        for other in drawing.places:
            inside = place is other and place.node.kind is NodeKind.EXIT
            assert inside or distance(place.label, other.at) > other.radius, f"{place.name} on {other.name}"


@pytest.mark.parametrize("count", range(1, 16))
def test_no_page_is_drawn_over_another_or_over_the_border(count: int) -> None:
    for chains in (every_page_to_every_page(count), some_chains(count, seed=count)):
        drawing = drawn(chains)
        for one, other in combinations(drawing.places, 2):
            assert abs(one.at - other.at) > one.radius + other.radius
        for arrow in drawing.arrows:
            for point in [*points(arrow), *arrow.head]:
                assert drawing.borders.left < point.real < drawing.borders.right
                assert drawing.borders.top < point.imag < drawing.borders.bottom


@pytest.mark.parametrize("count", range(1, 16))
def test_no_arrow_leads_over_a_page_that_it_does_not_belong_to(count: int) -> None:
    drawing = drawn(every_page_to_every_page(count))
    for arrow in drawing.arrows:
        for position, place in enumerate(drawing.places):
            if position not in (arrow.edge.source, arrow.edge.target):
                nearest = min(abs(point - place.at) for point in points(arrow, 40))
                assert nearest > place.radius, f"{arrow.edge} over {place.name}"


@pytest.mark.parametrize("count", range(2, 16))
def test_there_and_back_are_two_curves(count: int) -> None:
    drawing = drawn(every_page_to_every_page(count))
    middles = {(arrow.edge.source, arrow.edge.target): [*points(arrow, 2)][1] for arrow in drawing.arrows}
    for one, other in permutations(range(count), 2):
        assert abs(middles[one, other] - middles[other, one]) > 6


def test_wide_arrows_are_those_of_great_shares() -> None:
    arrows = [arrow for arrow in drawn(SITE).arrows if arrow.edge.source != arrow.edge.target]
    arrows.sort(key=lambda arrow: arrow.edge.share)
    assert [arrow.width for arrow in arrows] == sorted(arrow.width for arrow in arrows)
    assert arrows[-1].width > 3 * arrows[0].width


def test_of_many_pages_the_most_hit_ones_are_drawn_and_the_others_as_one() -> None:
    chains = some_chains(40, seed=1)
    least = chains.pages()[14:]
    drawing = parsed(chains)
    assert len(pages(drawing)) == 15
    assert set(chains.pages()[:14]) <= {title(node).split(":")[0] for node in pages(drawing)}
    others = drawing.find("g/g[@class='page others']")
    assert others is not None
    hits = sum(chains.graph.nodes[page]["hits"] for page in least)
    assert title(others).startswith(f"26 other pages: {hits:,} hits")
    assert "26 other pages" in texts(drawing, "name")
    assert "Of 40 pages these are the 14 most hit" in (drawing.findtext("desc") or "")


def test_transitions_of_the_others_are_added_up() -> None:
    chains = some_chains(40, seed=1)
    selection = select_pages(chains)
    assert sum(edge.count for edge in selection.edges) == chains.graph.size(weight="count")
    for place in range(selection.pages):
        own = [edge for edge in selection.edges if edge.source == place]
        assert {edge.total for edge in own} == {sum(edge.count for edge in own)}


def test_one_page_too_many_is_no_reason_to_put_any_together() -> None:
    assert select_pages(some_chains(15, seed=1)).merged == 0
    assert select_pages(some_chains(16, seed=1)).merged == 2


@pytest.mark.parametrize(
    "name",
    [
        "</title><script>alert(1)</script>",
        '"><svg onload="x">',
        "it's & isn't <b>",
        "\x00\x08\x1b[31m\x7f\ufffe\uffff",
        "\ud800 half a character",
        "\u202e\u2066turned around",
        "",
        " ",
        "\n\t",
        "/" + "w" * 5000,
        "日本語のページ" * 9,
        "]]>",
        "🧑‍🚀/{id}",
    ],
)
@pytest.mark.parametrize("standalone", [False, True])
def test_no_name_breaks_the_picture(name: str, standalone: bool) -> None:
    chains = walked({name: {name: 3, "/": 2, "exit": 1}, "/": {name: 4, "exit": 2}})
    written = draw_svg_file(chains, RULES) if standalone else draw_svg(chains)
    root = ElementTree.fromstring(written)
    known = {"svg", "g", "title", "desc", "style", "rect", "circle", "path", "text"}
    assert {one.tag.removeprefix(f"{{{XMLNS}}}") for one in root.iter()} <= known
    assert not any(key.startswith("on") for one in root.iter() for key in one.attrib)
    written.encode()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=40), unique=True, min_size=1, max_size=8))
def test_names_are_anything(names: list[str]) -> None:
    pages = [name for name in names if name != "exit"]
    chains = walked({page: dict.fromkeys(pages, 1) for page in pages})
    assert len(nodes(parsed(chains))) == len(pages)
    for one, other in combinations(drawn(chains).places if pages else (), 2):
        assert not meet(one.label, other.label), f"{one.name} and {other.name}"


def test_the_same_chains_are_the_same_bytes_in_whatever_order_they_were_counted() -> None:
    steps = [Step(f"/{one}", True, f"/{other}", False, 1 + one * other) for one, other in permutations(range(18), 2)]
    first = draw_svg(build_chains(steps))
    for seed in range(3):
        random.Random(seed).shuffle(steps)
        assert draw_svg(build_chains(steps)) == first


def test_a_page_of_ours_may_have_it_under_its_policy() -> None:
    written = draw_svg(SITE)
    assert "style=" not in written and "<style" not in written and "<script" not in written
    assert "http" not in written.replace("/{id}", "")
    colours = {key for one in parsed(SITE).iter() for key in one.attrib} & {"fill", "stroke"}
    assert not colours


def test_a_file_has_its_look_with_it() -> None:
    root = ElementTree.fromstring(draw_svg_file(SITE, RULES))
    assert root.tag == f"{{{XMLNS}}}svg"
    style = root.findtext(f"{{{XMLNS}}}style") or ""
    assert "prefers-color-scheme: dark" in style
    assert "var(" not in style
    assert len(root.findall(f"{{{XMLNS}}}g[@class='nodes']/*")) == len(SITE.pages()) + 1


def test_every_look_has_a_rule() -> None:
    looks = {look for one in parsed(some_chains(40, seed=1)).iter() for look in (one.get("class") or "").split()}
    assert {look for look in looks if f".{look}" not in RULES} <= {"labels"}


def test_it_has_a_name_a_description_and_pages_for_the_keyboard() -> None:
    drawing = parsed(SITE)
    assert title(drawing) == "Where people go from page to page"
    described = drawing.findtext("desc") or ""
    assert described.startswith(f"{len(SITE.pages())} pages, {SITE.hits:,} hits. / → /runs: 300 of")
    assert all(node.get("tabindex") == "0" for node in nodes(drawing))


def test_the_tab_key_leads_around_the_ellipse() -> None:
    drawing = drawn(SITE)
    names = [title(node).split(":")[0] for node in nodes(parsed(SITE))]
    assert names == [*(drawing.graph.nodes[page].name for page in drawing.order), "exit"]
    angles = [drawing.places[page].at * 1j for page in drawing.order]  # from the top on
    assert all((other / one).imag > 0 for one, other in pairwise(angles))


def test_without_hits_it_says_so() -> None:
    nothing = build_chains([])
    assert texts(parsed(nothing), "name") == ["No hits yet"]
    assert "No hits yet" in draw_svg_file(nothing, RULES)
    ElementTree.fromstring(draw_svg_file(nothing, RULES))


def test_pages_that_lead_to_each_other_stand_beside_each_other() -> None:
    circle = [3, 0, 5, 2, 7, 4, 1, 6]
    nodes = tuple(Node(NodeKind.PAGE, str(position), 1) for position in range(8))
    edges = tuple(Edge(one, other, 1, 1) for one, other in pairwise([*circle, circle[0]]))
    order = arrange_pages(PageGraph(nodes, edges, 0))
    assert order[0] == 0 and sorted(order) == list(range(8))
    beside = {frozenset(pair) for pair in pairwise([*order, order[0]])}
    assert beside == {frozenset(pair) for pair in pairwise([*circle, circle[0]])}


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    short = fitted("/a/rather/long/address/of/rejected/rows", 13, 150)
    assert short == "/a/rathe…ed/rows"
    assert width_of(short, 13) <= 150
    assert fitted("/runs", 13, 150) == "/runs"
    assert width_of(fitted("W" * 100_000, 13, 150), 13) <= 150
