"""Numbers, times and states in the words that people read. Pure."""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup

from promise_pub.delivery.evidence.outcome import measure_rate
from promise_pub.parameters import RUN_PARAMETERS, Parameters
from promise_pub.presentation.outcome_words import describe_verdict, shorten_verdict, verdict_tone
from promise_pub.records import FindingKind, RunReport, State, Verdict
from promise_pub.text import counted
from promise_pub.times import rfc3339

_STATES = {
    State.QUEUED: "Waiting for its turn",
    State.NEGOTIATING: "Opening a session",
    State.PUBLISHING: "Publishing",
    State.DRAINING: "Consumer finishing",
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
_MEANWHILE = {
    State.QUEUED: "Runs take turns, in order of arrival.",
    State.NEGOTIATING: "Connecting to the broker, and asking the consumer for a session.",
    State.PUBLISHING: "Rows are sent, and the broker confirms that it has them.",
    State.DRAINING: "Every row is confirmed. The verdict follows when the consumer is done.",
}
# Why a promise is broken, by its first reason: `{rows}` of `{accepted}`.
_BROKEN = {
    FindingKind.RETURNED: "{rows} of {accepted} rows came back from the broker: it had no queue for them.",
    FindingKind.NACKED: "{rows} of {accepted} rows were refused by the broker.",
    FindingKind.UNCONFIRMED: "{rows} of {accepted} rows were never confirmed by the broker.",
    FindingKind.NOT_RECEIVED: "{rows} of {accepted} rows never reached the consumer.",
    FindingKind.DIGEST_DIFFERS: "What the consumer received differs from what was published.",
    FindingKind.NOT_USABLE: "{rows} of {accepted} rows were of no use to the consumer.",
    FindingKind.TOO_LONG: "{rows} of {accepted} rows are too long for the employees table.",
    FindingKind.NOT_SAVED: "Rows reached the consumer and were not saved, for no known reason.",
}
_ALWAYS_TOLD = ("mode", "timeout")  # settings that a reader looks for
_TONES = {
    State.QUEUED: "waiting",
    State.FAILED: "failed",
    State.CANCELLED: "stopped",
    State.INTERRUPTED: "stopped",
}


def moment(value: datetime | None) -> Markup:
    """Returns a time in UTC, which `static/page.js` converts to the reader's zone."""
    if value is None:
        return Markup("–")
    shown = value.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}">{}</time>').format(rfc3339(value), shown)


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def roughly(seconds: float | None) -> str:
    """Returns a duration in whole seconds: one that people watch must not flicker."""
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds < 59.5 else duration(max(seconds, 60))


def thousands(value: int | None) -> str:
    return "not reported" if value is None else f"{value:,}"


def rounded(value: float | None) -> str:
    """Returns a rate with as many digits as are worth reading."""
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
    """Returns what the run does now, or how it ended."""
    if report.position:
        return f"Waiting for its turn: number {report.position} in the queue"
    if report.blocked:
        return "Waiting for the broker: a memory or disk alarm keeps it from reading"
    return _STATES[report.state]


def expected_rows(report: RunReport) -> int:
    """Returns the accepted rows of the whole file; an estimate from its bytes where it was not read to its end."""
    accepted = report.counts.accepted
    if not is_estimate(report):
        return accepted
    return max(accepted, round(accepted * report.file.bytes / report.read_bytes))


def is_estimate(report: RunReport) -> bool:
    """Tells whether `expected_rows` is one: the file was not read to its end."""
    return report.state is not State.COMPLETED and 0 < report.read_bytes < report.file.bytes


def about(report: RunReport) -> str:
    """Returns the word before a number that rests on an estimate of the run's rows, or "" where it is exact."""
    return "about " if is_estimate(report) else ""


def seconds_left(report: RunReport) -> float | None:
    """Estimates when all rows are published, or received, from the speed so far. None before there is one."""
    counts, spent = report.counts, report.seconds
    if report.state is State.PUBLISHING and counts.confirmed and spent.publishing > 1:
        return (expected_rows(report) - counts.confirmed) * spent.publishing / counts.confirmed
    received = report.totals.received
    worked = spent.publishing + spent.draining
    if report.state is State.DRAINING and received and worked > 1:
        return max(0, counts.confirmed - received) * worked / received + report.parameters.timeout
    return None


def pace(report: RunReport) -> float | None:
    """Returns confirmed rows a second over the time of publishing. None before there is such a time."""
    return measure_rate(report)


def settings(parameters: Parameters) -> list[tuple[str, str, str]]:
    """Returns the name, value and meaning of each setting: mode and timeout, and all that differ from their defaults."""
    always = [(one, getattr(parameters, one.name)) for one in RUN_PARAMETERS if one.name in _ALWAYS_TOLD]
    changed = [(one, value) for one, value in parameters.list_changed() if one.name not in _ALWAYS_TOLD]
    return [(one.name, one.format(value), one.help.replace("`", "")) for one, value in (*always, *changed)]


def headline(report: RunReport) -> str:
    """Returns the first line about a run: its verdict, how else it ended, or what it does."""
    if report.verdict:
        return describe_verdict(report)
    return _ENDED.get(report.state) or state(report)


def sentence(report: RunReport) -> str:
    """Returns the second line about a run: why, and how much of it."""
    if report.error and report.error.message != headline(report):
        return report.error.message
    if report.state is State.CANCELLED:
        return f"{report.counts.confirmed:,} of {about(report)}{rows(expected_rows(report))} were confirmed."
    if report.verdict is Verdict.KEPT:
        return _kept(report)
    if report.verdict is Verdict.BROKEN:
        return _broken(report)
    if report.verdict is Verdict.UNKNOWN:
        confirmed = rows(report.counts.confirmed)
        return (
            "The consumer reports too little, or its report does not match what is known here. Proven: the broker "
            f"confirmed {confirmed}."
        )
    if report.blocked:
        return "The run continues by itself when the alarm ends."
    return _MEANWHILE.get(report.state, "")


def _kept(report: RunReport) -> str:
    accepted = report.counts.accepted
    saved = report.totals.saved
    explained = " or explained" if report.explanation and saved != accepted else ""
    if accepted == 1:
        return f"The one accepted row was confirmed and received, and saved{explained}."
    return f"All {accepted:,} accepted rows were confirmed and received, and each saved{explained}."


def _broken(report: RunReport) -> str:
    for finding in report.findings:
        if finding.verdict is Verdict.BROKEN and (template := _BROKEN.get(finding.kind)):
            return template.format(rows=f"{finding.rows or 0:,}", accepted=f"{report.counts.accepted:,}")
    return "Rows are missing, or were not saved for no known reason."


def rows(count: int) -> str:
    return counted(count, "row")


def tone(report: RunReport) -> str:
    """Returns the name of a run's colour and sign: that of its verdict, failed, stopped, blocked, waiting or going."""
    if report.verdict:
        return verdict_tone(report)
    return "blocked" if report.blocked else _TONES.get(report.state, "going")


def tab_title(report: RunReport) -> str:
    """Returns the few words about a run that fit into a browser's tab."""
    counts = report.counts
    if report.state is State.PUBLISHING:
        return f"{about(report)}{_percent(counts.confirmed, expected_rows(report))} sent"
    if report.state is State.DRAINING:
        return f"{_percent(report.totals.received or 0, counts.confirmed)} received"
    if report.position:
        return f"waiting, number {report.position}"
    return shorten_verdict(report) if report.verdict else report.state.value


def _percent(part: int, whole: int) -> str:
    """Rounds down: 100 % only when all are there."""
    return f"{min(part, whole) * 100 // whole if whole else 0} %"
