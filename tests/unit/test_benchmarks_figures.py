"""The arithmetic behind the page of benchmarks. Nothing here measures."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import chart, report
from benchmarks.figures import Section, Table, Target, most_within, percentile, spread
from benchmarks.rows import BODY_BYTES, RowFiles
from promise_pub.delivery.input.reader import read_batches


def test_the_spread_is_the_largest_distance_from_the_median() -> None:
    assert spread([90, 100, 125]) == "±25 %"
    assert spread([100]) == "–"


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.75, 3), (0.99, 4), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    assert percentile([4, 1, 3, 2], share) == value


def test_the_busiest_stretch_is_found_wherever_it_begins() -> None:
    moments = [0.0, 0.5, 1.0, 1.01, 1.05, 1.11, 3.0]
    assert most_within(moments, 0.1) == 3
    assert most_within(moments, 10) == 7
    assert most_within([], 1) == 0


def test_a_table_is_aligned_markdown() -> None:
    table = Table(("who", "rows/s"), [("C", "1,000"), ("pika", "9")])
    assert table.markdown().splitlines() == [
        "| who  | rows/s |",
        "| ---- | -----: |",
        "| C    |  1,000 |",
        "| pika |      9 |",
    ]


async def test_both_files_hold_the_same_rows(tmp_path: Path) -> None:
    files = RowFiles(tmp_path)
    batches = [batch async for batch in read_batches(files.csv(10_001))]
    rows = [row for batch in batches for row in batch.rows]
    bodies = [json.loads(line) for line in files.bodies(10_001).read_text().splitlines()]
    assert [row.fields for row in rows] == [(b["name"], b["mail"]) for b in bodies]
    assert (len(rows), len({row.fields[1] for row in rows})) == (10_001, 10_001)
    assert len(json.dumps(bodies[0])) == BODY_BYTES


@pytest.mark.parametrize(
    "svg",
    [
        chart.bars("Rows & more", [("a <b>", 5.0), ("c", 10.0)]),
        chart.line("Memory", "rows", [(100, 55.5), (1000, 60.0)]),
        chart.line("One point", "rows", [(1, 0.5)]),
    ],
)
def test_charts_are_well_formed(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg") and len(list(root)) > 4


def test_the_page_says_which_goals_were_not_reached() -> None:
    goals = [Target("rate", "≥ 2 ×", "1.9 ×", False), Target("memory", "≤ 10 MB", "3 MB", True)]
    section = Section("Speed", "How.", Table(("a", "b"), [("1", "2")]), {"x.svg": ""}, goals)
    page = report.markdown([section], {"processor": "two cores"}, ["C was skipped."])
    lines = [" ".join(line.split()) for line in page.splitlines()]
    assert "| rate | ≥ 2 × | 1.9 × | **no** |" in lines
    assert "| memory | ≤ 10 MB | 3 MB | yes |" in lines
    assert "C was skipped." in lines and "![Speed](x.svg)" in lines and "- processor: two cores" in lines
