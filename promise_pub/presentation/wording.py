"""Numbers, times and states in the words that people read. Pure."""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup

from promise_pub.records import RunReport, State, Verdict
from promise_pub.text import counted
from promise_pub.times import rfc3339

_STATES = {
    State.QUEUED: "Waiting for its turn",
    State.NEGOTIATING: "Agreeing with the consumer",
    State.PUBLISHING: "Publishing",
    State.DRAINING: "The consumer reads the rest",
    State.COMPLETED: "Completed",
    State.FAILED: "Failed",
    State.CANCELLED: "Cancelled",
    State.INTERRUPTED: "Interrupted",
}


_ENDED = {
    State.FAILED: "The run failed.",
    State.CANCELLED: "The run was cancelled.",
    State.INTERRUPTED: "The run was interrupted.",
}
_VERDICTS = {
    Verdict.KEPT: "The promise is kept.",
    Verdict.BROKEN: "The promise is broken.",
    Verdict.UNKNOWN: "Nobody knows.",
}
_MEANWHILE = {
    State.QUEUED: "Runs go one at a time, first come, first served.",
    State.NEGOTIATING: "The broker is connected and the consumer asked for a session.",
    State.PUBLISHING: "Rows go out, and the broker confirms that it has them.",
    State.DRAINING: "Every row is confirmed; the verdict comes when the consumer is done.",
}
_TONES = {
    State.QUEUED: "waiting",
    State.FAILED: "failed",
    State.CANCELLED: "stopped",
    State.INTERRUPTED: "stopped",
}


def moment(value: datetime | None) -> Markup:
    """A time as a page tells it: in UTC, until `static/page.js` puts it into the reader's zone."""
    if value is None:
        return Markup("–")
    told = value.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}">{}</time>').format(rfc3339(value), told)


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def roughly(seconds: float | None) -> str:
    """A duration that people watch: whole seconds, so that it does not flicker."""
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds < 59.5 else duration(max(seconds, 60))


def thousands(value: int | None) -> str:
    return "not told" if value is None else f"{value:,}"


def rounded(value: float | None) -> str:
    """A rate, to as many digits as are worth reading."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def size(count: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GB"


def state(report: RunReport) -> str:
    """What the run does now, or how it ended."""
    if report.position:
        return f"Waiting for its turn: number {report.position} in the queue"
    if report.blocked:
        return "Waiting for the broker: an alarm of its memory or disk keeps it from reading"
    return _STATES[report.state]


def expected_rows(report: RunReport) -> int:
    """Accepted rows of the whole file; where it was not read to its end, as many as its bytes make expect."""
    accepted, read, whole = report.counts.accepted, report.read_bytes, report.file.bytes
    if report.state is State.COMPLETED or not 0 < read < whole:
        return accepted
    return max(accepted, round(accepted * whole / read))


def seconds_left(report: RunReport) -> float | None:
    """Until all rows are published, or the consumer has received them, if they go on as they went. None: no idea."""
    counts, spent = report.counts, report.seconds
    if report.state is State.PUBLISHING and counts.confirmed and spent.publishing > 1:
        return (expected_rows(report) - counts.confirmed) * spent.publishing / counts.confirmed
    received = report.session.received if report.session else None
    worked = spent.publishing + spent.draining
    if report.state is State.DRAINING and received and worked > 1:
        return max(0, counts.confirmed - received) * worked / received + report.parameters.timeout
    return None


def pace(report: RunReport) -> float | None:
    """Rows a second, over all the time that rows went out. None before that can be told."""
    spent, confirmed = report.seconds.publishing, report.counts.confirmed
    return confirmed / spent if confirmed and spent > 0.01 else None


def headline(report: RunReport) -> str:
    """What there is to say about a run first: its verdict, how else it ended, or what it does."""
    if report.verdict:
        return _VERDICTS[report.verdict]
    return _ENDED.get(report.state) or state(report)


def sentence(report: RunReport) -> str:
    """The same, a little longer."""
    if report.error and report.error.message != headline(report):
        return report.error.message
    if report.state is State.CANCELLED:
        return f"{report.counts.confirmed:,} of {rows(expected_rows(report))} are confirmed."
    if report.verdict is Verdict.KEPT:
        return _kept(report)
    if report.verdict is Verdict.BROKEN:
        return "A row is missing, was of no use to the consumer, or was not saved and nothing explains it."
    if report.verdict is Verdict.UNKNOWN:
        confirmed = rows(report.counts.confirmed)
        return f"The consumer does not tell enough, or what it tells does not agree with what is known here: all that is proven is that the broker confirmed {confirmed}."
    if report.blocked:
        return "The run goes on by itself when that ends."
    return _MEANWHILE.get(report.state, "")


def _kept(report: RunReport) -> str:
    accepted = report.counts.accepted
    saved = report.session.saved if report.session else None
    explained = " or explained" if report.explanation and saved != accepted else ""
    if accepted == 1:
        return f"The one accepted row was confirmed and received, and saved{explained}."
    return f"All {accepted:,} accepted rows were confirmed and received, and each saved{explained}."


def rows(count: int) -> str:
    return counted(count, "row")


def tone(report: RunReport) -> str:
    """The colour and the sign of a run: a verdict, failed, stopped, blocked, waiting or going."""
    if report.verdict:
        return report.verdict.value
    return "blocked" if report.blocked else _TONES.get(report.state, "going")


def tab_title(report: RunReport) -> str:
    """What of a run a browser's tab has room for."""
    counts = report.counts
    if report.state is State.PUBLISHING:
        return f"{_percent(counts.confirmed, expected_rows(report))} sent"
    if report.state is State.DRAINING:
        received = report.session.received if report.session else None
        return f"{_percent(received or 0, counts.confirmed)} received"
    if report.position:
        return f"waiting, number {report.position}"
    return report.verdict.value if report.verdict else report.state.value


def _percent(part: int, whole: int) -> str:
    """Never 100 before it is all."""
    return f"{min(part, whole) * 100 // whole if whole else 0} %"
