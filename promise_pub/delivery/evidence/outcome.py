"""What follows from the report of a completed run: its gate, whether it passed, and what is worth a look. Pure."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

from promise_pub.parameters.gate import JudgedClause, Outcome, outcome_of
from promise_pub.parameters.gate_tree import Values
from promise_pub.records import FindingKind, RunReport, State, Verdict

MS_DIGITS, SECONDS_DIGITS = 1, 3
"""Decimal places of a report's milliseconds and seconds; a gate judges the numbers that people see."""


class Attention(StrEnum):
    """Reasons to look at a run whose promise is kept, the weightiest first. The values are stable."""

    NOTHING_SAVED = "nothing_saved"
    SOME_REJECTED = "some_rejected"
    TABLE_CHANGED = "table_changed"
    COUNTS_ONLY = "counts_only"


_FOUND = {FindingKind.TABLE_CHANGED: Attention.TABLE_CHANGED, FindingKind.NO_DIGEST: Attention.COUNTS_ONLY}


def find_attention(report: RunReport) -> tuple[Attention, ...]:
    """Returns what is worth a look; nothing of a run whose promise is not kept: that has a verdict to look at."""
    if report.verdict is not Verdict.KEPT:
        return ()
    found = {_FOUND[finding.kind] for finding in report.findings if finding.kind in _FOUND}
    if report.totals.saved == 0 and report.counts.confirmed:
        found.add(Attention.NOTHING_SAVED)
    if report.counts.rejected:
        found.add(Attention.SOME_REJECTED)
    return tuple(one for one in Attention if one in found)


def judge_gate(report: RunReport) -> tuple[JudgedClause, ...]:
    """Returns the clauses of a run's gate; none before it is completed, and of a run without a gate."""
    gate = report.parameters.fail_if
    return gate.judge(_read_values(report)) if gate and report.state is State.COMPLETED else ()


def judge_passed(report: RunReport) -> bool | None:
    """Returns True where the promise is kept and no gate keeps the run from passing; None until it is completed."""
    if report.state is not State.COMPLETED:
        return None
    return report.verdict is Verdict.KEPT and outcome_of(judge_gate(report)) is Outcome.PASSED


def measure_rate(report: RunReport) -> float | None:
    """Returns confirmed rows a second over the time of publishing. None before there is such a time."""
    spent, confirmed = report.seconds.publishing, report.counts.confirmed
    return confirmed / spent if confirmed and spent > 0.01 else None


def _read_values(report: RunReport) -> Values:
    counts, told, latency, rate = report.counts, report.totals, report.confirm_ms, measure_rate(report)
    rows = {
        "read": counts.read,
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "confirmed": counts.confirmed,
        "returned": counts.returned,
        "nacked": counts.nacked,
        "resent": counts.resent,
        "received": told.received,
        "saved": told.saved,
        "repeats": _count_repeats(report),
        # A promise is not kept with rows of no use.
        "unusable": 0 if told.unusable is None and report.verdict is Verdict.KEPT else told.unusable,
        "missing": _count_missing(report),
        "db_count": report.db_count,
    }
    times = {name: getattr(report.seconds, name) for name in report.seconds.__slots__}
    return {
        **{name: None if count is None else Fraction(count) for name, count in rows.items()},
        **{name: _rounded(getattr(latency, name, None), MS_DIGITS) for name in ("p50", "p95", "p99", "max")},
        **{f"seconds.{name}": _rounded(value, SECONDS_DIGITS) for name, value in times.items()},
        "rate": _rounded(rate, MS_DIGITS),
        "verdict": report.verdict and report.verdict.value,
    }


def _rounded(value: float | None, digits: int) -> Fraction | None:
    """Returns the number as it is written, not as a float holds it: 0.1 is a tenth."""
    return None if value is None else Fraction(str(round(value, digits)))


def _count_repeats(report: RunReport) -> int | None:
    """Counts the rows that repeat others, as the consumer tells, or where all that is not saved is proven to be that."""
    told = report.totals
    if told.repeats is None and told.saved is not None and report.verdict is Verdict.KEPT:
        return max(0, report.counts.confirmed - told.saved)
    return told.repeats


def _count_missing(report: RunReport) -> int | None:
    kinds = {finding.kind: finding.rows for finding in report.findings}
    if FindingKind.NOT_RECEIVED in kinds:
        return kinds[FindingKind.NOT_RECEIVED]
    received = report.totals.received
    if received is None or FindingKind.RECEIVED_TOO_MANY in kinds:
        return None
    return max(0, report.counts.confirmed - received)
