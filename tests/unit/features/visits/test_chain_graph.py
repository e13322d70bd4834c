"""The graph of transitions: all of them are in it, nothing covers a name, and no name breaks it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import combinations, permutations
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.features.visits.chains import Chains, Step, chains_of
from promise_pub.features.visits.render.svg import XMLNS, svg
from promise_pub.features.visits.render.svg.layout import LANDSCAPE, PORTRAIT, Frame, arranged
from promise_pub.features.visits.render.svg.ring import ring
from promise_pub.features.visits.render.svg.scene import Picture, picture
from promise_pub.features.visits.render.svg.selection import Kind, Selection, select
from promise_pub.features.visits.render.svg.style import DARK, LIGHT, RULES
from promise_pub.features.visits.render.svg.text_size import Box, fitted, width_of
from tests.visits.graph_parts import SITE, every_page_to_every_page, some_chains, walked

FRAMES = pytest.mark.parametrize("frame", [LANDSCAPE, PORTRAIT], ids=lambda frame: frame.name)
STYLESHEET = (Path(__file__).parents[4] / "promise_pub" / "features" / "visits" / "static" / "visits.css").read_text()


def parsed(chains: Chains) -> Element:
    return ElementTree.fromstring(svg(chains))


def drawings(chains: Chains) -> list[Element]:
    found = parsed(chains).findall("svg")
    assert [one.get("class") for one in found] == ["landscape", "portrait"]
    return found


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


def drawn(chains: Chains, frame: Frame) -> tuple[Selection, Picture]:
    selection = select(chains)
    return selection, picture(selection, arranged(selection), frame)


def boxes(shown: Picture) -> Iterator[tuple[str, Box]]:
    """Of all that is written, by widths that are estimated for the widest common font (see lettering.py)."""
    for place in shown.places:
        yield place.node.name, place.label.box
    for position, number in shown.numbers.items():
        yield f"{position}: {number.text}", number.box


def test_there_is_a_node_for_each_page_and_an_edge_for_each_transition() -> None:
    for drawing in drawings(SITE):
        assert {title(page).split(":")[0] for page in pages(drawing)} == set(SITE.pages())
        assert len(pages(drawing)) == len(SITE.pages())
        told = {title(edge).split(":")[0] for node in nodes(drawing) for edge in edges(node)}
        assert told == {f"{source} → {target}" for source, target in SITE.graph.edges}
        assert sum(len(edges(node)) for node in nodes(drawing)) == SITE.graph.number_of_edges()


def test_edges_are_grouped_with_the_page_they_leave() -> None:
    for node in nodes(drawings(SITE)[0]):
        own = title(node).split(":")[0]
        assert all(title(edge).startswith(f"{own} → ") for edge in edges(node))


def test_what_one_points_at_tells_its_figures() -> None:
    chains = chains_of(
        [
            Step("/", True, "/runs", False, 12),
            Step("/", True, None, True, 333),
            Step("/runs", False, None, True, 12),
        ]
    )
    drawing = drawings(chains)[0]
    assert [title(node) for node in nodes(drawing)] == [
        "/: 345 hits, 345 sessions began here",
        "/runs: 12 hits",
        "exit: 345 sessions ended",
    ]
    told = {title(edge) for node in nodes(drawing) for edge in edges(node)}
    assert "/ → /runs: 12 of 345 (3 %)" in told
    assert "/ → exit: 333 of 345 (97 %)" in told


def test_a_node_s_area_grows_with_its_hits() -> None:
    hits = {"/a": 10_000, "/b": 2_500, "/c": 400, "/d": 1}
    chains = chains_of(Step(page, True, None, True, count) for page, count in hits.items())
    for drawing in drawings(chains):
        radii = {
            title(node).split(":")[0]: float(node.find("circle").get("r"))  # type: ignore[union-attr,arg-type]
            for node in pages(drawing)
        }
        assert radii["/a"] == pytest.approx(2 * radii["/b"], abs=0.1)
        assert radii["/b"] > radii["/c"] >= radii["/d"] > 3


@FRAMES
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", range(1, 16))
def test_nothing_that_is_written_covers_anything_or_is_cut_off(count: int, seed: int, frame: Frame) -> None:
    _, shown = drawn(some_chains(count, seed), frame)
    for (name, box), (other, another) in combinations(boxes(shown), 2):
        assert not box.meets(another), f"{name} and {other}"
    for name, box in boxes(shown):
        assert shown.box.left <= box.left < box.right <= shown.box.right, name
        assert shown.box.top <= box.top < box.bottom <= shown.box.bottom, name
        for place in shown.places:
            inside = place.node.kind is Kind.EXIT and name == place.node.name
            assert inside or box.distance(place.at) > place.radius, f"{name} on {place.node.name}"


@FRAMES
@pytest.mark.parametrize("count", range(1, 16))
def test_no_page_is_drawn_over_another_or_over_the_border(count: int, frame: Frame) -> None:
    _, shown = drawn(every_page_to_every_page(count), frame)
    for one, other in combinations(shown.places, 2):
        assert abs(one.at - other.at) > one.radius + other.radius
    for way in shown.ways:
        for step in range(21):
            point = way.curve.at(step / 20)
            assert shown.box.left < point.real < shown.box.right
            assert shown.box.top < point.imag < shown.box.bottom


@FRAMES
@pytest.mark.parametrize("count", [2, 3, 6, 9, 12, 15])
def test_no_way_leads_over_a_page_that_it_does_not_belong_to(count: int, frame: Frame) -> None:
    _, shown = drawn(every_page_to_every_page(count), frame)
    for way in shown.ways:
        for position, place in enumerate(shown.places):
            if position not in (way.edge.source, way.edge.target):
                nearest = min(abs(way.curve.at(step / 40) - place.at) for step in range(41))
                assert nearest > place.radius, f"{way.edge} over {place.node.name}"


@FRAMES
def test_there_and_back_are_two_ways(frame: Frame) -> None:
    _, shown = drawn(every_page_to_every_page(12), frame)
    middles = {(way.edge.source, way.edge.target): way.curve.at(0.5) for way in shown.ways}
    for one, other in permutations(range(12), 2):
        assert abs(middles[one, other] - middles[other, one]) > 6


@FRAMES
def test_strong_ways_have_their_number_and_weak_ones_have_none(frame: Frame) -> None:
    _, shown = drawn(SITE, frame)
    shares = {position: way.edge.share for position, way in enumerate(shown.ways)}
    assert {position for position, share in shares.items() if share >= 0.2} <= set(shown.numbers)
    assert all(shares[position] >= 0.15 for position in shown.numbers)


@FRAMES
@pytest.mark.parametrize("count", [6, 10, 13, 15, 40])
def test_there_is_room_for_every_strong_way_s_number(count: int, frame: Frame) -> None:
    for seed in range(3):
        _, shown = drawn(some_chains(count, seed), frame)
        for position, way in enumerate(shown.ways):
            assert way.edge.share < 0.2 or position in shown.numbers, way.edge


def test_wide_lines_are_those_of_great_shares() -> None:
    _, shown = drawn(SITE, LANDSCAPE)
    ways = [way for way in shown.ways if way.edge.source != way.edge.target]
    ways.sort(key=lambda way: way.edge.share)
    assert [way.width for way in ways] == sorted(way.width for way in ways)
    assert ways[-1].width > 3 * ways[0].width


def test_of_many_pages_the_most_hit_ones_are_drawn_and_the_others_as_one() -> None:
    chains = some_chains(40, seed=1)
    least = chains.pages()[14:]
    for drawing in drawings(chains):
        assert len(pages(drawing)) == 15
        assert set(chains.pages()[:14]) <= {title(node).split(":")[0] for node in pages(drawing)}
        others = drawing.find("g/g[@class='page others']")
        assert others is not None
        hits = sum(chains.graph.nodes[page]["hits"] for page in least)
        assert title(others).startswith(f"26 other pages: {hits:,} hits")
        assert "Of 40 pages these are the 14 most hit" in (drawing.findtext("desc") or "")
    assert "Of 40 pages these are the 14 most hit" in (parsed(chains).findtext("p") or "")


def test_transitions_of_the_others_are_added_up() -> None:
    chains = some_chains(40, seed=1)
    selection = select(chains)
    assert sum(edge.count for edge in selection.edges) == chains.graph.size(weight="count")
    for place in range(selection.pages):
        own = [edge for edge in selection.edges if edge.source == place]
        assert {edge.total for edge in own} == {sum(edge.count for edge in own)}


def test_one_page_too_many_is_no_reason_to_put_any_together() -> None:
    assert select(some_chains(15, seed=1)).together == 0
    assert select(some_chains(16, seed=1)).together == 2


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
    root = ElementTree.fromstring(svg(chains, standalone=standalone))
    known = {"div", "p", "svg", "g", "title", "desc", "style", "rect", "circle", "path", "text"}
    assert {one.tag.removeprefix(f"{{{XMLNS}}}") for one in root.iter()} <= known
    assert not any(key.startswith("on") for one in root.iter() for key in one.attrib)
    svg(chains, standalone=standalone).encode()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=40), unique=True, min_size=1, max_size=8))
def test_names_are_anything(names: list[str]) -> None:
    pages = [name for name in names if name != "exit"]
    chains = walked({page: dict.fromkeys(pages, 1) for page in pages})
    if pages:
        assert len(nodes(drawings(chains)[0])) == len(pages)
    for frame in (LANDSCAPE, PORTRAIT) if pages else ():
        _, shown = drawn(chains, frame)
        for (name, box), (other, another) in combinations(boxes(shown), 2):
            assert not box.meets(another), f"{name} and {other}"


def test_the_same_chains_are_the_same_bytes_in_whatever_order_they_were_counted() -> None:
    steps = [Step(f"/{one}", True, f"/{other}", False, 1 + one * other) for one, other in permutations(range(18), 2)]
    first = svg(chains_of(steps))
    for seed in range(3):
        random.Random(seed).shuffle(steps)
        assert svg(chains_of(steps)) == first


def test_a_page_of_ours_may_have_it_under_its_policy() -> None:
    written = svg(SITE)
    assert "style=" not in written and "<style" not in written and "<script" not in written
    assert "http" not in written.replace("/{id}", "")
    colours = {key for one in parsed(SITE).iter() for key in one.attrib} & {"fill", "stroke"}
    assert not colours


def test_standalone_it_has_its_look_with_it() -> None:
    root = ElementTree.fromstring(svg(SITE, standalone=True))
    assert root.tag == f"{{{XMLNS}}}svg"
    style = root.findtext(f"{{{XMLNS}}}style") or ""
    assert "prefers-color-scheme: dark" in style
    assert "var(" not in style
    assert root.find(f"{{{XMLNS}}}rect[@class='ground']") is not None
    assert len(root.findall(f"{{{XMLNS}}}g[@class='nodes']/*")) == len(SITE.pages()) + 1


def test_the_stylesheet_has_the_same_rules_and_colours() -> None:
    assert RULES in STYLESHEET
    for colours, found in zip((LIGHT, DARK), re.findall(r":root \{([^}]*)\}", STYLESHEET), strict=False):
        for name, colour in colours.items():
            assert f"--{name}: {colour};" in found


def test_it_has_a_name_a_description_and_pages_for_the_keyboard() -> None:
    for drawing in drawings(SITE):
        assert title(drawing) == "Where people go from page to page"
        described = drawing.findtext("desc") or ""
        assert described.startswith(f"{len(SITE.pages())} pages, {SITE.hits:,} hits. / → /runs: 300 of")
        assert all(node.get("tabindex") == "0" for node in nodes(drawing))


def test_the_tab_key_leads_around_the_ring() -> None:
    selection, shown = drawn(SITE, LANDSCAPE)
    angles = [shown.places[place].at * 1j for place in arranged(selection)[:-1]]  # from the top on
    turns = [(other / one).imag for one, other in zip(angles, angles[1:], strict=False)]
    assert all(turn > 0 for turn in turns)


def test_without_hits_it_says_so() -> None:
    nothing = chains_of([])
    assert texts(parsed(nothing), "name") == ["No hits yet"]
    assert "No hits yet" in svg(nothing, standalone=True)
    ElementTree.fromstring(svg(nothing, standalone=True))


def test_a_page_alone_stands_in_the_middle() -> None:
    shown = drawn(chains_of([Step("/", True, None, False, 1)]), LANDSCAPE)[1]
    assert [(place.node.name, place.at, place.label.hits) for place in shown.places] == [("/", 0j, "1 hit")]


def test_pages_that_lead_to_each_other_stand_beside_each_other() -> None:
    circle = [3, 0, 5, 2, 7, 4, 1, 6]
    weights = [[0.0] * 8 for _ in circle]
    for one, other in zip(circle, circle[1:] + circle[:1], strict=True):
        weights[one][other] = weights[other][one] = 1.0
    order = ring(weights)
    assert order[0] == 0 and sorted(order) == list(range(8))
    beside = {frozenset(pair) for pair in zip(order, order[1:] + order[:1], strict=True)}
    assert beside == {frozenset(pair) for pair in zip(circle, circle[1:] + circle[:1], strict=True)}


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    short = fitted("/a/rather/long/address/of/rejected/rows", 13, 150)
    assert short == "/a/rathe…ed/rows"
    assert width_of(short, 13) <= 150
    assert fitted("/runs", 13, 150) == "/runs"
    assert width_of(fitted("W" * 100_000, 13, 150), 13) <= 150
