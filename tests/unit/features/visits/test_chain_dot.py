"""Chains in Graphviz's language: whole graphs, and names that would get out of their quotes."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.features.visits.chains import EXIT, Chains, Step, build_chains
from promise_pub.features.visits.render.dot import draw_dot
from tests.visits.walks import walked

FONT = 'fontname="Helvetica,Arial,sans-serif"'


def text(block: str) -> str:
    return dedent(block).removeprefix("\n").replace("FONT", FONT)


def test_a_graph_is_drawn_from_left_to_right() -> None:
    chains = walked(*["/ exit"] * 1100, "/ /runs/{id} /runs/{id} exit", "/")
    assert draw_dot(chains) == text(r"""
        digraph visits {
          graph [rankdir=LR, FONT];
          node [FONT];
          edge [FONT];
          "/" [label="/\n1,102 hits", shape=box];
          "/runs/{id}" [label="/runs/{id}\n2 hits", shape=box];
          "exit" [label="exit\n1,101 sessions", shape=oval];
          "/" -> "exit" [label=">99 %", penwidth=4.00];
          "/" -> "/runs/{id}" [label="<1 %", penwidth=1.00];
          "/runs/{id}" -> "/runs/{id}" [label="50 %", penwidth=2.50];
          "/runs/{id}" -> "exit" [label="50 %", penwidth=2.50];
        }
        """)


def test_nobody_has_come_yet() -> None:
    assert draw_dot(walked()) == text("""
        digraph visits {
          graph [rankdir=LR, FONT];
          node [FONT];
          edge [FONT];
        }
        """)


def test_one_hit_of_a_session_that_goes_is_a_node_without_an_exit() -> None:
    assert nodes(draw_dot(walked("/"))) == {"/": "/\n1 hit"}


@pytest.mark.parametrize(
    ("page", "read"),
    [
        ('/a"b', '/a"b'),
        ("/a\\", r"/a\\"),
        (r"\N \G \l", r"\\N \\G \\l"),
        ('\\"', r"\\" + '"'),
        ("/a\nb\x00\x1b", r"/a\nb\x00\x1b"),
        ("/&amp;", "/&amp;"),
        ("<b>", "<b>"),
        ("", ""),
        ("/日本語 é", "/日本語 é"),
        ("\udcff", r"\udcff"),
    ],
)
def test_a_label_reads_as_the_page_is_called(page: str, read: str) -> None:
    told = draw_dot(of_one(page))
    assert {*nodes(told).values()} == {f"{read}\n1 hit", "exit\n1 session"}
    assert told.encode()


def of_one(page: str) -> Chains:
    return build_chains([Step(page, True, None, True, 1)])


# What Graphviz's scanner takes for a quoted string: https://graphviz.org/doc/info/lang.html
QUOTED = r'"((?:[^"\\]|\\.)*)"'
NODE = re.compile(rf"  {QUOTED} \[label={QUOTED}, shape=(?:box|oval)\];")
EDGE = re.compile(rf'  {QUOTED} -> {QUOTED} \[label="([<>]?\d+) %", penwidth=([1-4]\.\d\d)\];')


def nodes(told: str) -> dict[str, str]:
    """The names of nodes as they stand there, and the labels that people see."""
    return {match[1]: seen(match[2]) for line in told.split("\n") if (match := NODE.fullmatch(line))}


def seen(label: str) -> str:
    """What Graphviz makes of what stands between quotes."""
    escapes = {'"': '"', "\\": "\\", "n": "\n"}
    plain = re.sub(r"\\(.)", lambda match: escapes[match[1]], label)
    assert not re.search(r"&(?!amp;)", plain)
    return plain.replace("&amp;", "&")


NAMES = st.text(st.sampled_from('/"\\&;nN\n\x00\x1bé日'), max_size=5) | st.text(max_size=5)


@settings(deadline=None)  # a busy machine is no fault of the code
@given(st.lists(NAMES.filter(lambda name: name != EXIT), min_size=1, unique=True, max_size=8))
def test_every_page_is_one_node_whatever_it_is_called(pages: list[str]) -> None:
    chains = build_chains(
        [Step(page, True, after, False, 1) for page in pages for after in pages]
        + [Step(page, False, None, True, 1) for page in pages]
    )
    told = draw_dot(chains)
    assert len(nodes(told)) == len(pages) + 1
    lines = told.split("\n")
    edges = [match.group(1, 2) for line in lines if (match := EDGE.fullmatch(line))]
    assert len({*edges}) == len(edges) == len(pages) * (len(pages) + 1)
    assert {name for edge in edges for name in edge} == {*nodes(told)}
    assert len(lines) == 6 + len(nodes(told)) + len(edges), "and there is nothing else"
