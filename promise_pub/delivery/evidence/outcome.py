"""Consequences of the report of a completed run: its gate, whether it passed, and what is worth a look. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache, partial
from operator import attrgetter

from promise_pub.parameters.gate import Gate, JudgedClause, Outcome, outcome_of
from promise_pub.records import FindingKind, RunReport, Seconds, State, Verdict

MS_DIGITS, SECONDS_DIGITS = 1, 3
"""Decimal places of a report's milliseconds and seconds; a gate judges the numbers that people see."""

_REMEMBERED = 2048  # judged gates: a page of the history asks several times for each of its 500 runs

Told = int | float | str | None
"""A value of a report."""


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
    if not gate or report.state is not State.COMPLETED:
        return ()
    return _judge(gate, tuple(_READERS[name](report) for name in gate.names))


def judge_passed(report: RunReport) -> bool | None:
    """Returns True where the promise is kept and no gate keeps the run from passing; None until it is completed."""
    if report.state is not State.COMPLETED:
        return None
    return report.verdict is Verdict.KEPT and outcome_of(judge_gate(report)) is Outcome.PASSED


def measure_rate(report: RunReport) -> float | None:
    """Returns confirmed rows a second over the time of publishing. None before there is such a time."""
    spent, confirmed = report.seconds.publishing, report.counts.confirmed
    return confirmed / spent if confirmed and spent > 0.01 else None


@lru_cache(_REMEMBERED)
def _judge(gate: Gate, told: tuple[Told, ...]) -> tuple[JudgedClause, ...]:
    # The text of a number is what people see: 0.1 is a tenth, not the float next to it.
    values = (one if one is None or isinstance(one, str) else Fraction(str(one)) for one in told)
    return gate.judge(dict(zip(gate.names, values, strict=True)))


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


def _count_unusable(report: RunReport) -> int | None:
    """Counts the rows of no use, as the consumer tells; there are none where the promise is kept."""
    told = report.totals.unusable
    return 0 if told is None and report.verdict is Verdict.KEPT else told


def _read_latency(name: str, report: RunReport) -> float | None:
    return round(getattr(report.confirm_ms, name), MS_DIGITS) if report.confirm_ms else None


def _read_seconds(name: str, report: RunReport) -> float:
    seconds: float = getattr(report.seconds, name)
    return round(seconds, SECONDS_DIGITS)


def _read_rate(report: RunReport) -> float | None:
    rate = measure_rate(report)
    return None if rate is None else round(rate, MS_DIGITS)


_COUNTS = ("read", "accepted", "rejected", "confirmed", "returned", "nacked", "resent")
_READERS: Mapping[str, Callable[[RunReport], Told]] = {
    **{name: attrgetter(f"counts.{name}") for name in _COUNTS},
    "received": attrgetter("totals.received"),
    "saved": attrgetter("totals.saved"),
    "repeats": _count_repeats,
    "unusable": _count_unusable,
    "missing": _count_missing,
    "db_count": attrgetter("db_count"),
    **{name: partial(_read_latency, name) for name in ("p50", "p95", "p99", "max")},
    "rate": _read_rate,
    **{f"seconds.{name}": partial(_read_seconds, name) for name in Seconds.__slots__},
    "verdict": lambda report: report.verdict and report.verdict.value,
}
"""The values of a gate's names."""
