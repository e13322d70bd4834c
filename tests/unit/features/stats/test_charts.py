"""Charts: stacks that end where their sums are, lines broken where nothing is known, labels that can be read."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from promise_pub.features.stats.chart import draw_chart, draw_chart_file
from promise_pub.features.stats.chart.axes import moment_label, scale_of
from promise_pub.features.stats.chart.series import Chart, Series, series_of_keys, series_of_measures
from promise_pub.features.stats.charting import chart_style
from promise_pub.features.stats.ports import Mark
from promise_pub.features.stats.questions import Row
from promise_pub.features.stats.records import OTHERS
from promise_pub.presentation.plots import label_places
from tests.stats.tables import DAY, HOUR, START, key

STARTS = [START + n * HOUR for n in range(4)]


def a_chart(*series: Series, **more: Any) -> Chart:
    usual: dict[str, Any] = {"title": "t", "unit": "ms", "kind": "bars", "width": 3_600, "starts": STARTS}
    return Chart(**{**usual, "series": series, **more})


def paths(drawn: str, look: str) -> list[str]:
    return re.findall(rf'<path class="{look} of-\d" d="([^"]*)"', drawn)


def test_bars_are_stacked_and_what_is_negative_hangs_below_zero() -> None:
    chart = a_chart(Series(1, "a", [1, 2, 0, -2]), Series(2, "b", [3, 0, 0, 1]))
    assert (scale_of(chart).low, scale_of(chart).high) == (-2, 4)
    lower, upper = paths(draw_chart(chart, 60), "bar")
    bars = [re.findall(r"M[\d.]+ ([\d.]+)h[\d.]+V([\d.]+)", one) for one in (lower, upper)]
    heights = [[round(float(start) - float(end)) for start, end in one] for one in bars]
    assert heights == [[10, 20, -20], [30, 10]]
    assert bars[0][0][1] == bars[1][0][0]
    assert bars[0][2][0] == bars[1][1][0]


@pytest.mark.parametrize(
    ("kind", "high", "labels"), [("bars", 1, ["0", "1"]), ("bars", 4, ["0", "2", "4"]), ("lines", 1, ["0", "0.5", "1"])]
)
def test_half_a_count_has_no_label(kind: Any, high: float, labels: list[str]) -> None:
    scale = scale_of(a_chart(Series(1, "a", [high]), kind=kind))
    assert [label for _, label in scale.ticks()] == labels


def test_lines_are_broken_where_nothing_is_known() -> None:
    rows = [Row(START + n * HOUR, "", (1, 1.0, float(n + 1), 2.0, 3.0, 4.0)) for n in (0, 1, 3)]
    series = series_of_measures(rows, STARTS)
    assert [one.name for one in series] == ["p50", "p95", "p99"] and series[0].values == [1, 2, None, 4]
    (first, *_) = paths(draw_chart(a_chart(*series, kind="lines")), "curve")
    assert re.fullmatch(r"M[\d.]+ [\d.]+L[\d.]+ [\d.]+M[\d.]+ [\d.]+H[\d.]+", first), "one alone can be seen, too"


def test_the_greatest_keys_stand_for_themselves() -> None:
    rows = [Row(START, key(f"k{n:02}", ""), (n,)) for n in range(1, 13)] + [Row(START, OTHERS, (1,))]
    series = series_of_keys(rows, STARTS, "count")
    assert [one.name for one in series] == [*(f"k{n:02} · –" for n in range(12, 4, -1)), "other"]
    assert series[-1].number == 0 and series[-1].values[0] == 1 + 2 + 3 + 4 + 1
    assert [one.name for one in series_of_keys([Row(START, "", (1,))], STARTS, "count")] == ["count"]


@pytest.mark.parametrize("count", [1, 2, 6, 7, 100, 1000])
def test_labels_of_moments_are_few_and_apart(count: int) -> None:
    places = label_places(count)
    assert places[0] == 0 and 1 <= len(places) <= 6 and places[-1] < count


def test_moments_are_told_without_what_all_share() -> None:
    day = [START + n * HOUR for n in range(5)]
    assert moment_label(day[2], 3_600, day) == "02:00" and moment_label(day[2], 1, day) == "02:00:00"
    assert moment_label(day[2], 3_600, [*day, START + 2 * DAY]) == "1 Nov 02:00"
    assert moment_label(START, 86_400, [START, START + DAY]) == "1 Nov"
    assert moment_label(START, 86_400, [START, START + 99 * DAY]) == "2026-11-01"


def test_marks_that_would_cover_others_have_no_label() -> None:
    marks = [Mark(START + timedelta(minutes=n), n, f"deploy {n}") for n in range(10)]
    marks += [Mark(START - HOUR, 98, "before"), Mark(START + 9 * HOUR, 99, "after")]
    drawn = draw_chart(a_chart(Series(1, "a", [1, 2, 3, 4]), marks=marks))
    root = ElementTree.fromstring(drawn)
    groups = [one for one in root.iter("g") if one.get("class") == "mark"]
    assert len(groups) == 10 and len([one for one in groups if one.find("text") is not None]) == 3


def test_nothing_is_a_chart_as_well() -> None:
    for chart in (a_chart(), a_chart(starts=[]), a_chart(Series(1, "a", [None] * 4), kind="lines")):
        assert chart.empty and "Nothing was counted" in draw_chart(chart)
        ElementTree.fromstring(draw_chart_file(chart, chart_style()))


def test_a_file_has_fixed_colours_for_both_themes_and_a_page_none() -> None:
    chart = a_chart(Series(1, "<&\x1b", [1, 2, 3, 4]))
    file, part = draw_chart_file(chart, chart_style()), draw_chart(chart)
    assert "var(" not in file and "prefers-color-scheme: dark" in file and "#6fd0a0" in file
    assert "<style" not in part and "xmlns" not in part and "\x1b" not in file
    assert draw_chart(replace(chart, title="t")) == part
    ElementTree.fromstring(part)


def test_a_year_of_hours_has_a_bar_for_each() -> None:
    starts = [datetime(2026, 1, 1, tzinfo=UTC) + n * HOUR for n in range(1000)]
    (path,) = paths(draw_chart(a_chart(Series(1, "a", [1] * 1000), starts=starts)), "bar")
    assert path.count("M") == 1000
