"""A run's progress for people: five gauges, or a line. Pure: draws, prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress import Task
from rich.text import Text

from promise_pub.cli.bars import NOTES_FROM, BarRow, BarRows, bar_row
from promise_pub.presentation import wording
from promise_pub.presentation.gauges import DONE, Part, gauges
from promise_pub.presentation.outcome_words import (
    ATTENTION,
    GATE_FAILED,
    NOT_JUDGED,
    verdict_tone,
)
from promise_pub.records import RunReport, State
from promise_pub.text import printable

WIDEST = 100  # columns
MARGIN = 3  # columns on the right: the ^C that a terminal shows must not break the last line in two

NOTED = ("rejected", "returned", "refused")  # losses that a gauge's note names
TONE_STYLES = {
    "kept": "green",
    ATTENTION: "yellow",
    GATE_FAILED: "bold red",
    NOT_JUDGED: "yellow",
    "broken": "bold red",
    "unknown": "yellow",
}


def losses(report: RunReport, besides: Sequence[str] = ()) -> list[str]:
    """Returns the counts of rows that were lost or sent again, where there are any."""
    counts = report.counts
    kinds = {
        "rejected": counts.rejected,
        "returned": counts.returned,
        "refused": counts.nacked,
        "sent again": counts.resent,
    }
    return [f"{count:,} {name}" for name, count in kinds.items() if count and name not in besides]


def clock(seconds: float) -> str:
    """Returns 1:07, or 1:00:07 from an hour on: of a steady width while it counts."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def timing(report: RunReport) -> list[str]:
    """Returns the time taken, the estimate of the time left, and the rate."""
    spent, told = report.seconds, [clock(report.seconds.total)]
    if (left := wording.seconds_left(report)) is not None:
        told.append(f"about {clock(left)} left")
    if report.counts.confirmed and spent.publishing > 1:
        told.append(f"{report.counts.confirmed / spent.publishing:,.0f} rows/s")
    return told


def picture(report: RunReport, trouble: str = "") -> RenderableType:
    """Draws the run in seven lines, and one more for each thing that went wrong."""
    return _Fitted(Group(*_lines(report, trouble)))


def _lines(report: RunReport, trouble: str) -> Iterator[RenderableType]:
    yield Text(printable(report.file.name), "bold", no_wrap=True, overflow="ellipsis")
    yield Text.assemble(_state(report), " · ", " · ".join(timing(report)))
    yield BarRows([bar_row(gauge) for gauge in gauges(report)])
    yield _Losses(report)
    if reason := _reason(report):
        yield Text(reason, "red")
    if trouble:
        yield Text(trouble, "yellow")


class _Losses:
    """A line of the losses that the notes beside the bars do not name: all where the notes have no room."""

    def __init__(self, report: RunReport) -> None:
        self._report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        noted = NOTED if options.max_width >= NOTES_FROM else ()
        if lost := losses(self._report, besides=noted):
            yield Text(" · ".join(lost), "yellow")


def _reason(report: RunReport) -> str:
    """Returns why the run failed; "" where its state says it already."""
    if report.error is None or report.error.code == report.state:
        return ""
    return printable(f"{report.error.message} ({report.error.code})")


def _state(report: RunReport) -> Text:
    state = wording.state(report)
    if report.verdict:
        return Text(f"{state}: {_promise(report)}", TONE_STYLES[verdict_tone(report)])
    if report.state.final and report.state is not State.COMPLETED:
        return Text(state, "bold red")
    return Text(state, "cyan")


def _promise(report: RunReport) -> str:
    """Returns the verdict in few words; what else there is to say of it stands in the report that follows."""
    gate = {GATE_FAILED: ", and the gate failed", NOT_JUDGED: ", and the gate not judged"}
    return f"the promise is {report.verdict}{gate.get(verdict_tone(report), '')}"


def draw_upload(upload: Task) -> RenderableType:
    """Draws an upload in the lines that its run takes next."""
    sent, size = upload.completed, upload.total or 0
    told = ["Uploading", f"{wording.size(sent)} of {wording.size(size)}"]
    if sent >= size:
        told = [f"Uploaded {wording.size(size)}: the server looks at it"]
    elif upload.speed:
        told.append(f"{wording.size(upload.speed)}/s")
        told.append(f"about {clock((size - sent) / upload.speed)} left")
    share = sent / size if size else 1.0
    lines = (
        Text(printable(upload.description), "bold", no_wrap=True, overflow="ellipsis"),
        Text.assemble((told[0], "cyan"), "".join(f" · {part}" for part in told[1:])),
        BarRows([BarRow("uploaded", (Part(DONE, 0, share * 100),), f"{share:.0%}", "")]),
    )
    return _Fitted(Group(*lines))


class _Fitted:
    """A drawing as wide as the terminal less the margin, at most WIDEST."""

    def __init__(self, drawn: RenderableType) -> None:
        self._drawn = drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(1, min(WIDEST, options.max_width - MARGIN))
        fitted = options.update(width=width, no_wrap=False, overflow="fold")
        yield from console.render(self._drawn, fitted)


def line(report: RunReport) -> str:
    """Returns the run in a line, for a log."""
    counts = ", ".join(f"{gauge.name.lower()} {gauge.count:,}" for gauge in gauges(report) if gauge.count is not None)
    told = [f"{wording.state(report)}: {counts}", *losses(report), *timing(report)]
    if report.verdict:
        told.append(_promise(report))
    if reason := _reason(report):
        told.append(reason)
    return "; ".join(told)
