"""Numbers, times and states in the words that people read. Pure."""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup

from promise_pub.records import RunReport, State

_STATES = {
    State.QUEUED: "Waiting for its turn",
    State.NEGOTIATING: "Agreeing with the consumer",
    State.PUBLISHING: "Publishing",
    State.DRAINING: "All is sent: the consumer reads the rest",
    State.COMPLETED: "Completed",
    State.FAILED: "Failed",
    State.CANCELLED: "Cancelled",
    State.INTERRUPTED: "Interrupted",
}


def moment(value: datetime | None) -> Markup:
    """A time as a page tells it: in UTC, until `static/page.js` puts it into the reader's zone."""
    if value is None:
        return Markup("–")
    exact = value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = value.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}">{}</time>').format(exact, told)


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def thousands(value: int | None) -> str:
    return "not told" if value is None else f"{value:,}"


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
    """Accepted rows of the whole file; while it is being read, as many as its bytes make expect."""
    accepted, read, whole = report.counts.accepted, report.read_bytes, report.file.bytes
    if report.state.final or not 0 < read < whole:
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
