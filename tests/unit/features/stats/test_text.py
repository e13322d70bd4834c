"""Statistics on a terminal: rows with bars that fit, and nothing that drives it."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from promise_pub.features.stats.asked import parse_asked
from promise_pub.features.stats.metrics import StatsCollector
from promise_pub.features.stats.questions import Details, Known, Row
from promise_pub.features.stats.records import Layout, Registered
from promise_pub.features.stats.report import Overview, Table
from promise_pub.features.stats.text import bar_of, draw_list, draw_rows
from tests.stats.tables import HOUR, START, a_layout, key


def printed(shown: RenderableType, width: int = 80) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(shown)
    return file.getvalue().splitlines()


def a_table(layout: Layout, *rows: Row) -> Table:
    registered = Registered(id=1, layout=layout, counted_from=1, position=1)
    details = Details(known=Known(registered=registered))
    return Table(details, parse_asked(details, {}, datetime.now(UTC)), rows, len(rows), 1)


def test_a_bar_is_as_long_as_its_share() -> None:
    assert bar_of(4, 4, 10) == "█" * 10 and bar_of(1, 4, 10) == "██▌" and bar_of(1, 10**9, 10) == "▏"
    assert bar_of(0, 4, 10) == bar_of(-1, 4, 10) == bar_of(0, 0, 10) == ""
    assert bar_of(4, 4, 10, ascii_only=True) == "#" * 10 and bar_of(1, 10**9, 10, ascii_only=True) == "#"


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_rows_fit_the_terminal(width: int) -> None:
    rows = [Row(START + n * HOUR, key("x" * 100 + "字" * 100, "kept"), (n * 10**6,)) for n in range(5)]
    lines = printed(draw_rows(a_table(a_layout(), *rows), width), width)
    assert all(cell_len(line) <= width for line in lines)
    short = printed(
        draw_rows(a_table(a_layout(columns=("v",)), *(row._replace(key="kept") for row in rows)), width), width
    )
    assert any("█" in line for line in short) == (width >= 60) and len(short) == 6


def test_rows_of_every_kind_are_shown() -> None:
    measured = a_table(
        a_layout("latency", kind="measuring", columns=(), intervals=(3_600,)),
        Row(START, "", (3, 1.5, 1.0, 2.0, 2.5, 3.0)),
    )
    assert "2026-11-01 00:00:00" in (text := "\n".join(printed(draw_rows(measured, 120), 120))) and "1.5" in text
    newest = a_table(a_layout(kind="latest", columns=("f",), intervals=()), Row(START, "\x1b[31m[b]", ('{"a": 1}',)))
    text = "\n".join(printed(draw_rows(newest, 120), 120))
    assert "\x1b" not in text and r"\x1b[31m[b]" in text and '{"a": 1}' in text


def test_the_list_tells_the_state() -> None:
    known = [
        Known(registered=Registered(id=1, layout=a_layout(summary="[b]\x1b"), counted_from=1, position=5)),
        Known(registered=Registered(id=2, layout=a_layout("b"), counted_from=1, position=10, state="absent")),
        Known(registered=Registered(id=3, layout=a_layout("c"), counted_from=1, position=10, state="set_aside")),
        Known(registered=Registered(id=4, layout=a_layout("d"), counted_from=1, position=5, shown=False)),
        Known(registered=Registered(id=5, layout=a_layout("e"), counted_from=1, position=10)),
    ]
    lines = printed(draw_list(Overview(known, 10)), 120)
    for line, said in zip(
        lines[1:], ("behind by 5", "not installed", "set aside", "counting, 50 %", "up to date"), strict=True
    ):
        assert said in line
    assert r"[b]\x1b" in lines[1]


def test_metrics_are_those_of_who_counts() -> None:
    class Counting:
        behind = {"runs": 3, "a": 0}
        left_out = {"runs": 2}
        seconds = {"runs": 0.5}

    behind, left_out, seconds = StatsCollector(Counting()).collect()
    assert {sample.labels["statistic"]: sample.value for sample in behind.samples} == {"a": 0, "runs": 3}
    assert [(sample.name, sample.value) for sample in left_out.samples] == [("promise_pub_stats_left_out_total", 2)]
    assert [(sample.name, sample.value) for sample in seconds.samples] == [
        ("promise_pub_stats_fold_seconds_total", 0.5)
    ]
