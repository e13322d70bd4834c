"""How a run goes, for people: five gauges, or a line. Pure: it draws, and prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress import Task
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from promise_pub.records import RunReport, State, Verdict
from promise_pub.web import wording

WIDEST = 100  # columns; a longer bar is no better
MARGIN = 3  # columns on the right: the ^C that a terminal shows must not break the last line in two
NO_BAR_BELOW = 36  # columns; the numbers then need all of them

VERDICT_STYLES = {Verdict.KEPT: "green", Verdict.BROKEN: "bold red", Verdict.UNKNOWN: "yellow"}


class Gauge(NamedTuple):
    """One of the five numbers, None where nobody told it, and how much of all there is it makes, from 0 to 1."""

    name: str
    rows: int | None
    share: float


def gauges(report: RunReport) -> tuple[Gauge, ...]:
    """read → published → confirmed → received → saved: where the rows are."""
    counts, session, expected = report.counts, report.session, wording.expected_rows(report)
    further = {
        "published": counts.published,
        "confirmed": counts.confirmed,
        "received": session.received if session else None,
        "saved": session.saved if session else None,
    }
    read = Gauge("read", counts.read, _read(report))
    return read, *(Gauge(name, count, _share(count, expected)) for name, count in further.items())


def _read(report: RunReport) -> float:
    return 1.0 if report.state.final else _share(report.read_bytes, report.file.bytes)


def _share(count: int | None, whole: int) -> float:
    return min(1.0, (count or 0) / whole) if whole else 0.0


def losses(report: RunReport) -> list[str]:
    """What did not go the straight way, where there is any."""
    counts = report.counts
    kinds = {
        "rejected": counts.rejected,
        "returned": counts.returned,
        "refused": counts.nacked,
        "sent again": counts.resent,
    }
    return [f"{count:,} {name}" for name, count in kinds.items() if count]


def clock(seconds: float) -> str:
    """1:07, or 1:00:07 from an hour on: it does not jump about as it goes."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def timing(report: RunReport) -> list[str]:
    """For how long it has gone, how long it may still, and how fast it is."""
    spent, told = report.seconds, [clock(report.seconds.total)]
    if (left := wording.seconds_left(report)) is not None:
        told.append(f"about {clock(left)} left")
    if report.counts.confirmed and spent.publishing > 1:
        told.append(f"{report.counts.confirmed / spent.publishing:,.0f} rows/s")
    return told


def shown(text: str) -> str:
    """Text that others chose, such as a file's name, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def picture(report: RunReport, trouble: str = "") -> RenderableType:
    """The run on a terminal: seven lines, and one more for each thing that went wrong."""
    return _Fitted(Group(*_lines(report, trouble)))


def _lines(report: RunReport, trouble: str) -> Iterator[RenderableType]:
    yield Text(shown(report.file.name), "bold", no_wrap=True, overflow="ellipsis")
    yield Text.assemble(_state(report), " · ", " · ".join(timing(report)))
    yield _Bars((gauge.name, gauge.share, _number(gauge.rows)) for gauge in gauges(report))
    if lost := losses(report):
        yield Text(" · ".join(lost), "yellow")
    if reason := _reason(report):
        yield Text(reason, "red")
    if trouble:
        yield Text(trouble, "yellow")


def _reason(report: RunReport) -> str:
    """Why it failed. That it was cancelled, its state says already."""
    if report.error is None or report.error.code == report.state:
        return ""
    return f"{shown(report.error.message)} ({report.error.code})"


def _state(report: RunReport) -> Text:
    state = wording.state(report)
    if report.verdict:
        return Text(f"{state}: the promise is {report.verdict}", VERDICT_STYLES[report.verdict])
    if report.state.final and report.state is not State.COMPLETED:
        return Text(state, "bold red")
    return Text(state, "cyan")


def _number(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def upload_picture(upload: Task) -> RenderableType:
    """A file on its way, in the place and the shape that its run takes next."""
    sent, size = upload.completed, upload.total or 0
    told = ["Uploading", f"{wording.size(sent)} of {wording.size(size)}"]
    if sent >= size:
        told = [f"Uploaded {wording.size(size)}: the server looks at it"]
    elif upload.speed:
        told.append(f"{wording.size(upload.speed)}/s")
        told.append(f"about {clock((size - sent) / upload.speed)} left")
    share = sent / size if size else 1.0
    lines = (
        Text(shown(upload.description), "bold", no_wrap=True, overflow="ellipsis"),
        Text.assemble((told[0], "cyan"), "".join(f" · {part}" for part in told[1:])),
        _Bars([("uploaded", share, f"{share:.0%}")]),
    )
    return _Fitted(Group(*lines))


class _Fitted:
    """What is drawn takes the terminal's width, less the margin, and WIDEST at most."""

    def __init__(self, drawn: RenderableType) -> None:
        self._drawn = drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(1, min(WIDEST, options.max_width - MARGIN))
        fitted = options.update(width=width, no_wrap=False, overflow="fold")
        yield from console.render(self._drawn, fitted)


class _Bars:
    """Names, bars as wide as there is room, and what stands behind them."""

    def __init__(self, rows: Iterable[tuple[str, float, str]]) -> None:
        self._rows = tuple(rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with_bars = options.max_width >= NO_BAR_BELOW
        table = Table.grid(padding=(0, 2, 0, 0), expand=with_bars)
        table.add_column(no_wrap=True, min_width=len("published"))
        if with_bars:
            table.add_column(ratio=1)
        table.add_column(no_wrap=True, justify="right", min_width=len("1,000,000"))
        for name, share, text in self._rows:
            bar = [ProgressBar(total=1.0, completed=share)] if with_bars else []
            table.add_row(name, *bar, text)
        yield table


def line(report: RunReport) -> str:
    """The run in a line, for a log."""
    counts = ", ".join(
        f"{gauge.name} {gauge.rows:,}" for gauge in gauges(report) if gauge.rows is not None
    )
    told = [f"{wording.state(report)}: {counts}", *losses(report), *timing(report)]
    if report.verdict:
        told.append(f"the promise is {report.verdict}")
    if reason := _reason(report):
        told.append(reason)
    return "; ".join(told)
