"""Jobs and their runs as tables for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from promise_pub.features.jobs.records import JobRun
from promise_pub.features.jobs.report import JobStatus
from promise_pub.features.jobs.words import (
    argument_words,
    missed_words,
    progress_words,
    reason_words,
    seconds_taken,
    state_words,
    tone,
)
from promise_pub.presentation.wording import duration
from promise_pub.text import printable

_COLOURS = {"kept": "green", "failed": "red", "open": "yellow"}


def draw_jobs(jobs: Sequence[JobStatus]) -> RenderableType:
    """Returns a line for each job, and below them what is not as usual."""
    grid = _grid("job", "schedule", "next", "now", "last run", "ended")
    for job in jobs:
        last = job.last
        grid.add_row(
            job.known.name,
            Text(printable(job.schedule)),
            "paused" if job.known.paused else moment(job.next_due),
            _now(job),
            Text("–") if last is None else _state(last, job.at),
            "" if last is None else Text("  ".join(filter(None, (moment(last.ended_at), missed_words(last))))),
        )
    notes = [Text(printable(f"{job.known.name}: {note}"), style="yellow") for job in jobs for note in job.list_notes()]
    return Group(grid, *notes)


def _now(job: JobStatus) -> Text:
    if job.running:
        return Text(f"{state_words(job.running, job.at)} {printable(progress_words(job.running))}".rstrip())
    return Text(state_words(job.waiting[0], job.at) if job.waiting else "–")


def draw_runs(runs: Iterable[JobRun], now: datetime) -> Grid:
    """Returns a line for each run."""
    grid = _grid("run", "job", "state", "began, UTC", "took", "why", "arguments", "done")
    for run in runs:
        why = ", ".join(filter(None, (reason_words(run), missed_words(run))))
        grid.add_row(
            str(run.id),
            Text(printable(run.job)),
            _state(run, now),
            moment(run.started_at).removesuffix(" UTC"),
            _took(run, now),
            Text(printable(why)),
            Text(printable(argument_words(run.arguments))),
            Text(printable(run.error_message or progress_words(run))),
        )
    return grid


def draw_run(run: JobRun, now: datetime) -> Grid:
    """Returns a line for each thing that is known of a run."""
    grid = Grid(box=None, pad_edge=False, show_header=False)
    grid.add_column("", style="bold", no_wrap=True)
    grid.add_column("", overflow="fold")
    grid.add_row("run", Text(printable(f"{run.id} of {run.job}")))
    grid.add_row("state", _state(run, now))
    for name, words in _list_facts(run, now):
        grid.add_row(name, Text(printable(words)))
    return grid


def _list_facts(run: JobRun, now: datetime) -> Iterator[tuple[str, str]]:
    facts = (
        ("why", reason_words(run)),
        ("due", moment(run.due) if run.due else ""),
        ("missed", missed_words(run)),
        ("arguments", argument_words(run.arguments)),
        ("after", f"run {run.after}" if run.after else ""),
        ("asked", moment(run.created_at)),
        ("began", moment(run.started_at)),
        ("ended", moment(run.ended_at)),
        ("took", _took(run, now)),
        ("done", progress_words(run)),
        ("error", " ".join(filter(None, (run.error_message, f"({run.error_code})" if run.error_code else "")))),
    )
    return ((name, words) for name, words in facts if words)


def progress_line(run: JobRun, now: datetime) -> str:
    """Returns a run in one line, as it goes on."""
    words = " ".join(filter(None, (progress_words(run), run.error_message)))
    return printable(f"Run {run.id} of {run.job}: {state_words(run, now)}{f', {words}' if words else ''}")


def moment(at: datetime | None) -> str:
    return "–" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _took(run: JobRun, now: datetime) -> str:
    seconds = seconds_taken(run, now)
    return "–" if seconds is None else duration(seconds)


def _state(run: JobRun, now: datetime) -> Text:
    return Text(state_words(run, now), style=_COLOURS[tone(run, now)])


def _grid(*names: str) -> Grid:
    grid = Grid(box=None, pad_edge=False)
    for name in names:
        grid.add_column(name, overflow="fold")
    return grid
