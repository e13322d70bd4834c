"""Jobs and runs on terminals."""

from __future__ import annotations

from datetime import timedelta

from rich.console import Console, RenderableType

from promise_pub.features.jobs.records import Reason, State
from promise_pub.features.jobs.report import judge_jobs
from promise_pub.features.jobs.text import draw_jobs, draw_run, draw_runs, progress_line
from tests.jobs.fake_desk import NOW, a_job, a_run

EVIL = "\x1b[31m\u202e[bold]"


def shown(drawn: RenderableType, width: int = 200) -> list[str]:
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        console.print(drawn)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_each_job_has_a_line_and_what_is_not_as_usual_stands_below() -> None:
    known = [a_job(), a_job("sweep", schedule=None, seen_at=NOW - timedelta(hours=1)), a_job("old", paused=True)]
    runs = [
        a_run(3, state=State.RUNNING, done=1, total=3, message="2026-01-01"),
        a_run(2, state=State.COMPLETED, missed=2),
        a_run(4, "old"),
    ]
    head, usage, sweep, old, *notes = shown(draw_jobs(judge_jobs(known, runs, NOW)))
    assert head.split() == ["job", "schedule", "next", "now", "last", "run", "ended"]
    for words in (
        "At 01:30 every day, Europe/Berlin",
        "2026-11-27 00:30:00 UTC",
        "running 1 of 3: 2026-01-01",
        "completed",
        "2026-11-26 12:00:00 UTC  2 due times missed before",
    ):
        assert words in usage
    assert sweep.split() == ["sweep", "Only", "when", "asked", "–", "–", "–"]
    assert "paused" in old and "waiting" in old
    assert notes == [
        "sweep: No server has it now: it waits until one with it is there.",
        "old: It is paused: its due times are passed over.",
    ]


def test_each_run_has_a_line() -> None:
    runs = [
        a_run(2, state=State.FAILED, error_message="No disk.", reason=Reason.RETRY, attempt=2, missed=1),
        a_run(1, arguments={"start": "2026-01-01"}, asked_by="ann"),
    ]
    _, failed, waiting = shown(draw_runs(runs, NOW))
    for words in (
        "failed",
        "2026-11-26 11:59:00",
        "1 min 0 s",
        "tried again, try 2, 1 due time missed before",
        "No disk.",
    ):
        assert words in failed
    assert "waiting" in waiting and "asked for by ann" in waiting and "start=2026-01-01" in waiting


def test_a_run_is_told_line_by_line() -> None:
    run = a_run(
        7, state=State.FAILED, due=NOW, after=6, error_message="No disk.", error_code="disk_full", done=1, total=2
    )
    lines = dict(line.split(maxsplit=1) for line in shown(draw_run(run, NOW)))
    assert lines["run"] == "7 of usage" and lines["after"] == "run 6" and lines["done"] == "1 of 2"
    assert lines["error"] == "No disk. (disk_full)" and lines["due"] == "2026-11-26 12:00:00 UTC"
    assert "missed" not in lines and "arguments" not in lines


def test_progress_is_a_line() -> None:
    run = a_run(7, state=State.RUNNING, done=1, total=2, message="2026-01-01")
    assert progress_line(run, NOW) == "Run 7 of usage: running, 1 of 2: 2026-01-01"
    assert progress_line(a_run(7), NOW) == "Run 7 of usage: waiting"


def test_words_of_others_drive_no_terminal_and_are_no_markup() -> None:
    more = {"arguments": {EVIL: EVIL}, "message": EVIL, "asked_by": EVIL, "error_message": EVIL, "error_code": EVIL}
    runs = [a_run(1, state=State.FAILED, **more), a_run(2, state=State.RUNNING, **more)]
    drawn = (
        draw_jobs(judge_jobs([a_job(schedule=EVIL, zone=EVIL)], runs, NOW)),
        draw_runs(runs, NOW),
        draw_run(runs[0], NOW),
        progress_line(runs[1], NOW),
    )
    for one in drawn:
        text = "\n".join(shown(one) if not isinstance(one, str) else [one])
        assert "\x1b" not in text and "\u202e" not in text and "[bold]" in text
