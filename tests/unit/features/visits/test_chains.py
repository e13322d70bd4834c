"""Steps of sessions → a chain of pages, by tables of cases."""

from __future__ import annotations

from datetime import timedelta

import networkx as nx
import pytest

from promise_pub.features.visits.chains import EXIT, Chains, Step, Target, build_chains, format_percent
from tests.visits.walks import IDLE, NOW, Hit, steps_of, walked


def counts(chains: Chains) -> dict[tuple[str, str], int]:
    return {(page, target): count for page, target, count in chains.graph.edges(data="count")}


def nodes(chains: Chains) -> dict[str, tuple[int, int]]:
    return {name: (node["hits"], node["entries"]) for name, node in chains.graph.nodes.items()}


# walks → (hits, entries) of every node; the count of every edge; sessions, ended, bounces
CASES = {
    "no hits": ((), {}, {}, (0, 0, 0)),
    "one hit that ended": (
        ("/ exit",),
        {"/": (1, 1), EXIT: (1, 0)},
        {("/", EXIT): 1},
        (1, 1, 1),
    ),
    "one hit of a session that goes": (("/",), {"/": (1, 1)}, {}, (1, 0, 0)),
    "the same page again": (
        ("/ / / exit",),
        {"/": (3, 1), EXIT: (1, 0)},
        {("/", "/"): 2, ("/", EXIT): 1},
        (1, 1, 0),
    ),
    "an exit after each page": (
        ("/ exit", "/ /runs exit", "/ /runs /runs/1 exit"),
        {"/": (3, 3), "/runs": (2, 0), "/runs/1": (1, 0), EXIT: (3, 0)},
        {
            ("/", EXIT): 1,
            ("/", "/runs"): 2,
            ("/runs", EXIT): 1,
            ("/runs", "/runs/1"): 1,
            ("/runs/1", EXIT): 1,
        },
        (3, 3, 1),
    ),
    "some ended and some go": (
        ("/ /runs exit", "/runs /", "/ exit", "/"),
        {"/": (4, 3), "/runs": (2, 1), EXIT: (2, 0)},
        {("/", "/runs"): 1, ("/runs", EXIT): 1, ("/runs", "/"): 1, ("/", EXIT): 1},
        (4, 2, 1),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_walks_are_counted(case: tuple) -> None:
    walks, expected_nodes, expected_edges, (sessions, ended, bounces) = case
    chains = walked(*walks)
    assert nodes(chains) == expected_nodes
    assert counts(chains) == expected_edges
    assert (chains.sessions, chains.ended, chains.bounces) == (sessions, ended, bounces)
    assert chains.hits == sum(hits for name, (hits, _) in expected_nodes.items() if name != EXIT)
    assert chains.bounce_rate == (bounces / ended if ended else None)


def test_steps_that_are_alike_add_up() -> None:
    steps = [Step("/", True, "/runs", False, 2), Step("/runs", False, None, True, 5)]
    again = [Step("/", True, "/runs", False, 3)]
    added = build_chains([*steps, *again])
    assert counts(added) == {("/", "/runs"): 5, ("/runs", EXIT): 5}
    assert nodes(added) == {"/": (5, 5), "/runs": (5, 0), EXIT: (5, 0)}


def test_first_hits_and_later_ones_go_along_one_edge() -> None:
    chains = walked("/ /runs / /runs exit")
    assert counts(chains) == {("/", "/runs"): 2, ("/runs", "/"): 1, ("/runs", EXIT): 1}
    assert nodes(chains)["/"] == (2, 1)


def test_pages_stand_in_order_of_their_hits_then_by_name() -> None:
    chains = walked("/b exit", "/a exit", "/z /z exit")
    assert chains.pages() == ["/z", "/a", "/b"]


def test_targets_stand_in_order_of_their_probability_then_by_name() -> None:
    chains = walked(*["/ /b exit"] * 2, "/ /a exit", "/ / exit")
    assert chains.targets("/") == [
        Target("/b", 2, 2 / 5),
        Target("/", 1, 1 / 5),
        Target("/a", 1, 1 / 5),
        Target(EXIT, 1, 1 / 5),
    ]


def test_a_last_hit_of_a_session_that_goes_leads_nowhere() -> None:
    chains = walked("/ exit", "/")
    assert chains.targets("/") == [Target(EXIT, 1, 1.0)]
    assert walked("/").targets("/") == []


def test_a_page_that_nobody_was_on_has_no_targets_to_tell() -> None:
    with pytest.raises(KeyError):
        walked("/ exit").targets("/other")


def test_nobody_changes_the_graph_by_mistake() -> None:
    with pytest.raises(nx.NetworkXError, match="[Ff]rozen"):
        walked("/ exit").graph.add_edge("/", "/runs")


def test_the_share_of_a_page_is_its_share_of_the_hits() -> None:
    assert walked("/ /runs / exit", "/").shares() == {"/": 3 / 4, "/runs": 1 / 4}
    assert walked().shares() == {}


EXPECTED = [
    ([], {}),
    (["/ exit"], {"/": 1}),
    (["/"], {"/": None}),
    (["/ / / exit"], {"/": 3}),
    (["/ /runs exit"], {"/": 2, "/runs": 1}),
    (["/ exit", "/ /runs exit"], {"/": 1.5, "/runs": 1}),
    (["/ /runs / exit"], {"/": 3, "/runs": 4}),
    # /trap is on no way out, so neither is anything from where it can be reached
    (["/ /trap /trap", "/ exit", "/runs /", "/help exit"], dict.fromkeys(["/", "/runs", "/trap"])),
    # the session that goes changes nothing: somebody else was seen to leave
    (["/ /runs exit", "/ /runs"], {"/": 2, "/runs": 1}),
]


@pytest.mark.parametrize(("walks", "expected"), EXPECTED)
def test_pages_until_exit(walks: list[str], expected: dict[str, float | None]) -> None:
    told = walked(*walks).pages_until_exit()
    for page, number in expected.items():
        assert told[page] == (number if number is None else pytest.approx(number, rel=1e-12))
    assert list(told) == walked(*walks).pages()


def test_a_page_from_which_people_leave_is_told_beside_one_from_which_they_do_not() -> None:
    assert walked("/help exit", "/trap").pages_until_exit() == {"/help": 1, "/trap": None}


def test_however_rarely_people_leave_it_can_be_told() -> None:
    often = 10**12
    chains = build_chains(
        [
            Step("/", True, "/", False, 1),
            Step("/", False, "/", False, often - 1),
            Step("/", False, None, True, 1),
        ]
    )
    assert chains.pages_until_exit() == {"/": often + 1}


@pytest.mark.parametrize(
    ("count", "total", "told"),
    [
        (0, 3, "0"),
        (1, 3, "33"),
        (2, 3, "67"),
        (3, 3, "100"),
        (1, 100, "1"),
        (1, 101, "<1"),
        (1, 10**18, "<1"),
        (99, 100, "99"),
        (994, 1000, "99"),
        (995, 1000, ">99"),
        (10**18 - 1, 10**18, ">99"),
        (1, 8, "13"),
        (5, 1000, "<1"),
        (145, 1000, "15"),
        (1449, 10000, "14"),
    ],
)
def test_a_percentage_is_rounded_but_never_to_nothing_or_all(count: int, total: int, told: str) -> None:
    assert format_percent(count, total) == told


def test_a_session_has_its_order_by_time_then_by_number() -> None:
    then = NOW - timedelta(hours=1)
    hits = [
        Hit("a", then, 2, "/third"),
        Hit("a", then + timedelta(seconds=1), 0, "/last"),
        Hit("a", then, 1, "/second"),
        Hit("a", then - timedelta(seconds=1), 9, "/first"),
    ]
    assert set(steps_of(hits, NOW, IDLE)) == {
        Step("/first", True, "/second", False, 1),
        Step("/second", False, "/third", False, 1),
        Step("/third", False, "/last", False, 1),
        Step("/last", False, None, True, 1),
    }


@pytest.mark.parametrize(("ago", "ended"), [(-1, False), (0, True), (1, True)])
def test_a_session_ends_when_it_has_been_idle_for_just_so_long(ago: int, ended: bool) -> None:
    hit = Hit("a", NOW - IDLE - timedelta(microseconds=ago), 0, "/")
    assert steps_of([hit], NOW, IDLE) == [Step("/", True, None, ended, 1)]
