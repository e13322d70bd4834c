"""The picture of usage: bars as high as their users, hatched where a period is not whole, bounded, the same each time."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from promise_pub.errors import ServerBusy
from promise_pub.features.usage.bokeh_plot import make_bokeh_item
from promise_pub.features.usage.chart import HATCHED, MOST_DRAWN, describe, draw_chart, draw_chart_file
from promise_pub.features.usage.document import draw_document
from promise_pub.features.usage.records import Aggregate, Usage
from promise_pub.presentation.plots import HEIGHT
from tests.usage.fake_usage import FakeUsage, a_question, logins

MONDAY = date(2026, 1, 5)


async def usage_of(*counts: int, whole: int | None = None, aggregate: Aggregate = Aggregate.DAY) -> Usage:
    """Usage with so many users on each day from Monday on; the first `whole` days were condensed to their end."""
    days = len(counts) if whole is None else whole
    usage = FakeUsage()
    for place, count in enumerate(counts):
        for n in range(count):
            usage.add(logins(f"u{n}", MONDAY + timedelta(days=place)), datetime(2026, 1, 5, 13, tzinfo=UTC))
    usage.through = (
        datetime(2026, 1, 5, 13, tzinfo=UTC) + timedelta(days=days) - timedelta(hours=13 if whole is None else 0)
    )
    return await usage.count(a_question(aggregate=aggregate, start=MONDAY, end=MONDAY + timedelta(days=len(counts))))


def bars(drawn: str, look: str) -> list[float]:
    """The heights of bars."""
    (path,) = re.findall(rf'<path class="{look}" [^>]*d="([^"]*)"', drawn)
    return [round(float(low) - float(high), 1) for low, high in re.findall(r"M[\d.]+ ([\d.]+)h[\d.]+V([\d.]+)h", path)]


async def test_bars_are_as_high_as_their_users_and_periods_without_have_none() -> None:
    drawn = draw_chart(await usage_of(4, 0, 2, 1))
    assert bars(drawn, "bar") == [HEIGHT, HEIGHT / 2, HEIGHT / 4]
    assert HATCHED not in drawn and "pattern" not in drawn


async def test_what_is_cut_or_goes_on_is_hatched_and_said_to_be() -> None:
    drawn = draw_chart(await usage_of(4, 0, 2, whole=2))
    assert bars(drawn, "bar") == [HEIGHT] and bars(drawn, "cut") == [HEIGHT / 2]
    assert f">{HATCHED}</text>" in drawn and 'fill="url(#hatched)"' in drawn
    assert "2026-01-07: 2 users, 2 actions; cut, or not over yet" in drawn
    week = draw_chart(await usage_of(1, 1, aggregate=Aggregate.WEEK))
    assert bars(week, "bar") == [] and len(bars(week, "cut")) == 1


async def test_a_picture_is_well_formed_bounded_and_always_the_same() -> None:
    long = await usage_of(*([1] + [0] * 1_999))
    drawn = draw_chart_file(long)
    root = ElementTree.fromstring(drawn)
    assert len(root.findall(".//{*}g[@class='windows']/{*}rect")) == MOST_DRAWN
    assert drawn == draw_chart_file(long) and len(drawn) < 300_000
    assert describe(long) == "Nobody in this time."
    assert describe(await usage_of(1, 3)) == (
        "Bars of 2 periods, 2026-01-05 to 2026-01-06. At most 3 users, in 2026-01-06."
    )


async def test_a_page_in_a_file_has_chart_and_table_and_escapes_what_it_is_told() -> None:
    page = draw_document(await usage_of(1, 2), ["<b>told</b>"])
    assert page.startswith("<!doctype html>\n") and "<svg" in page and page.count("<tr>") == 3
    assert "&lt;b&gt;told&lt;/b&gt;" in page and "<script" not in page and "<style" not in page


async def test_bokeh_draws_the_same_bars() -> None:
    pytest.importorskip("bokeh")
    item = (await make_bokeh_item(await usage_of(4, 0, 2, whole=2))).decode()
    assert "2026-01-07" in item and "[1.0, 1.0, 0.4]" in item and "Users who logged in, by day" in item


async def test_a_plot_that_takes_too_long_or_fails_is_given_up(tmp_path: Path) -> None:
    pytest.importorskip("bokeh")
    program = tmp_path / "program.py"
    program.write_text("import time; time.sleep(60)")
    with pytest.raises(ServerBusy):
        await make_bokeh_item(await usage_of(1), program, within=0.1)
    program.write_text("raise SystemExit('no')")
    with pytest.raises(RuntimeError, match="Bokeh failed: no"):
        await make_bokeh_item(await usage_of(1), program, within=60)
