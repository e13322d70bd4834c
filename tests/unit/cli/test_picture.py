"""A run on a terminal and in a log: the whole text, at several widths."""

from __future__ import annotations

import io
from textwrap import dedent

import pytest
from rich.console import Console, RenderableType
from rich.progress import Progress

from promise_pub.cli.bars import BarRows, bar_row
from promise_pub.cli.picture import clock, draw_upload, line, picture
from promise_pub.presentation.gauges import gauges
from promise_pub.records import Counts, Fault, State, Verdict
from tests.run_parts import ended, report


def drawn(renderable: RenderableType, width: int, *, colour: bool = False) -> str:
    """What a terminal of so many columns shows; without colour, what is not done yet is not drawn."""
    console = Console(
        file=io.StringIO(),
        width=width,
        record=True,
        force_terminal=True,
        color_system="truecolor",
        no_color=not colour,
        legacy_windows=False,
        soft_wrap=True,
        _environ={},
    )
    console.print(renderable, soft_wrap=False)
    return "".join(f"{text.rstrip()}\n" for text in console.export_text().splitlines())


def text(block: str) -> str:
    return dedent(block).removeprefix("\n")


def test_a_run_at_sixty_columns() -> None:
    assert drawn(picture(report()), 60) == text("""
        data.csv
        Publishing · 0:05 · about 0:06 left · 10,000 rows/s
        read       ━━━━━━━━━━━━━━━━━╌                      50,002
        published  ━━━━━━━━━━━━━━━━━                       50,000
        confirmed  ━━━━━━━━━━━━━━                          40,000
        received   ━━━━━━━━━━                              30,000
        saved      ━━━━━━━                                 20,000
        2 rejected
        """)


def test_with_room_each_gauge_says_what_its_page_does() -> None:
    assert drawn(picture(report()), 80) == text("""
        data.csv
        Publishing · 0:05 · about 0:06 left · 10,000 rows/s
        read       ━━━━━━━━━━━━━╌                    50,002  of about 100,002
        published  ━━━━━━━━━━━━━━                    50,000  about 50,000 to go
        confirmed  ━━━━━━━━━━━                       40,000  10,000 unconfirmed
        received   ━━━━━━━━                          30,000  10,000 to come
        saved      ━━━━━                             20,000  by the consumer
        """)


def test_what_is_lost_is_seen_without_colour() -> None:
    assert drawn(picture(ended(Verdict.BROKEN)), 80) == text("""
        data.csv
        Completed: the promise is broken · 0:10 · 12,500 rows/s
        read       ━━━━━━━━━━━━━━━━━━━━━━━━━━━━╌    100,002  2 rejected
        published  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━    100,000  to the broker
        confirmed  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━    100,000  by the broker
        received   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━    100,000  by the consumer
        saved      ━━━━━━━━━━━━━━━━━━━━━━━━━━━━╳     99,000  1,000 unexplained
        """)


def test_on_a_wide_terminal_the_bars_end_where_they_say_no_more() -> None:
    shown_there = drawn(picture(report()), 140, colour=True)
    assert shown_there == drawn(picture(report()), 103, colour=True)
    assert 90 < max(map(len, shown_there.splitlines())) <= 100


def test_on_a_narrow_one_the_numbers_stay_and_the_bars_go() -> None:
    assert drawn(picture(report()), 30) == text("""
        data.csv
        Publishing · 0:05 · about
        0:06 left · 10,000 rows/s
        read          50,002
        published     50,000
        confirmed     40,000
        received      30,000
        saved         20,000
        2 rejected
        """)


def test_a_run_that_ended_has_its_verdict_and_full_bars() -> None:
    assert drawn(picture(ended()), 60) == text("""
        data.csv
        Completed: the promise is kept · 0:10 · 12,500 rows/s
        read       ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╌    100,002
        published  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━    100,000
        confirmed  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━    100,000
        received   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━    100,000
        saved      ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╌     99,000
        2 rejected
        """)


def test_what_nobody_told_is_no_zero_and_what_went_wrong_is_named() -> None:
    counts = Counts(read=10, published=10, confirmed=7, returned=2, nacked=1, resent=3)
    failed = report(
        state=State.FAILED,
        counts=counts,
        session=None,
        error=Fault("queue_gone", "The session's queue is gone."),
    )
    assert drawn(picture(failed, "cannot be reached"), 60) == text("""
        data.csv
        Failed · 0:05 · 2 rows/s
        read       ━━━━━━━━━━━━━━━━━                           10
        published  ━━━━━━━━━━━━━━━━━                           10
        confirmed  ━━━━━━━━━━━━╳╳╳╳╳                            7
        received                                                –
        saved                                                   –
        2 returned · 1 refused · 3 sent again
        The session's queue is gone. (queue_gone)
        cannot be reached
        """)


def test_a_run_that_waits_says_where() -> None:
    waiting = report(state=State.QUEUED, position=3, counts=Counts(), session=None, read_bytes=0)
    assert drawn(picture(waiting), 60).splitlines()[1] == ("Waiting for its turn: number 3 in the queue · 0:05")


def test_a_file_without_a_byte_read_or_expected_is_no_division_by_zero() -> None:
    nothing = ended(counts=Counts(), session=None, read_bytes=0)
    assert "━" not in drawn(picture(nothing), 60)


def test_a_terminal_that_knows_ascii_alone_gets_bars_of_it() -> None:
    file = io.TextIOWrapper(io.BytesIO(), "ascii", errors="backslashreplace")
    bars = BarRows([bar_row(gauge) for gauge in gauges(ended(Verdict.BROKEN))])
    Console(file=file, width=60, no_color=True, _environ={}).print(bars)
    file.seek(0)
    assert "============x     99,000" in file.read()


def test_a_name_neither_paints_nor_moves() -> None:
    odd = report()
    named = report(file=type(odd.file)("[red]\x1b[2J\u202e\n.csv", 1, ""))
    assert drawn(picture(named), 60).splitlines()[0] == r"[red]\x1b[2J\u202e\n.csv"


def test_an_upload_stands_where_its_run_will() -> None:
    moment = 100.0
    progress = Progress(auto_refresh=False, get_time=lambda: moment)
    progress.add_task("data.csv", total=4_000_000)
    progress.advance(progress.task_ids[0], 1_000_000)
    moment = 101.0
    progress.advance(progress.task_ids[0], 1_000_000)
    assert drawn(draw_upload(progress.tasks[0]), 72) == text("""
        data.csv
        Uploading · 1.9 MB of 3.8 MB · 976.6 KB/s · about 0:02 left
        uploaded   ━━━━━━━━━━━━━━━━━━━━━━━                                50%
        """)
    progress.advance(progress.task_ids[0], 2_000_000)
    assert drawn(draw_upload(progress.tasks[0]), 60).splitlines()[1] == ("Uploaded 3.8 MB: the server looks at it")


def test_an_empty_file_is_uploaded_at_once() -> None:
    progress = Progress(auto_refresh=False)
    progress.add_task("empty.csv", total=0)
    assert "100%" in drawn(draw_upload(progress.tasks[0]), 60)


@pytest.mark.parametrize(("seconds", "told"), [(0, "0:00"), (59.99, "0:59"), (67, "1:07"), (3600, "1:00:00")])
def test_a_clock_reads_as_one(seconds: float, told: str) -> None:
    assert clock(seconds) == told


def test_a_line_of_a_log() -> None:
    assert line(report()) == (
        "Publishing: read 50,002, published 50,000, confirmed 40,000, received 30,000, saved 20,000; "
        "2 rejected; 0:05; about 0:06 left; 10,000 rows/s"
    )
    assert line(ended(Verdict.BROKEN)).endswith("the promise is broken")
    cancelled = report(state=State.CANCELLED, error=Fault("cancelled", "The run was cancelled."))
    assert line(cancelled).startswith("Cancelled: read 50,002")
    assert "cancelled" not in line(cancelled)
