"""Runs side by side: their settings, counts, rates, latencies and verdicts, and where they differ. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from promise_pub.presentation import gauges, wording
from promise_pub.records import Counts, Parameters, RunReport, Seconds
from promise_pub.web.runs.curl import written

Value = str | int | float | None
"""None: not told, or not yet."""

_ROWS = ("read", "rejected", "published", "confirmed", "returned", "nacked", "resent")
_MEASURED = {"Rows", "Rate", "Confirm latency", "Time"}
"""Groups whose values can be more or less."""
_LATENCIES = ("p50", "p95", "p99", "max")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about each of the runs. `shown` are its values in people's words.

    `changes` are what the others have more or less than the first, in percent, where a value can be measured so.
    """

    group: str
    name: str
    unit: str
    values: tuple[Value, ...]
    shown: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1

    @property
    def apart(self) -> tuple[bool, ...]:
        """Which values are not the first run's."""
        return tuple(value != self.values[0] for value in self.values)

    @property
    def changes(self) -> tuple[str, ...]:
        first = self.values[0]
        measured = self.group in _MEASURED
        return tuple(_change(first, value) if measured else "" for value in self.values)

    def as_json(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "values": list(self.values),
            "differs": self.differs,
        }


def _change(first: Value, value: Value) -> str:
    """Like +12 %, where both are numbers and there is a difference worth telling."""
    if not isinstance(first, (int, float)) or not isinstance(value, (int, float)) or not first:
        return ""
    percent = (value - first) / first * 100
    return f"{percent:+,.0f} %".replace("-", "−") if abs(percent) >= 0.5 else ""


def facts(reports: Sequence[RunReport]) -> list[Fact]:
    """Everything there is to compare, group by group."""
    asked = [(*question[:3], tuple(map(question[3], reports))) for question in _questions()]
    return [
        Fact(group, name, unit, values, tuple(_shown(value, unit) for value in values))
        for group, name, unit, values in asked
        if any(value is not None for value in values)
    ]


def _shown(value: Value, unit: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return written(value)
    if unit == "bytes":
        return wording.size(float(value))
    if unit == "s":
        return wording.duration(float(value))
    if unit == "ms":
        return f"{value:.1f} ms"
    if unit == "rows/s":
        return wording.rounded(float(value))
    return f"{value:,}" if isinstance(value, int) else str(value)


Question = tuple[str, str, str, Callable[[RunReport], Value]]


def _questions() -> Iterator[Question]:
    yield "Outcome", "state", "", lambda run: run.state.value
    yield "Outcome", "verdict", "", lambda run: run.verdict and run.verdict.value
    yield "Outcome", "error", "", lambda run: run.error.code if run.error else None
    yield "File", "name", "", lambda run: run.file.name
    yield "File", "size", "bytes", lambda run: run.file.bytes
    yield "File", "sha256", "", lambda run: run.file.sha256
    for field in fields(Parameters):
        yield "Settings", field.name, "", _setting(field.name)
    for name in _ROWS:
        yield "Rows", name, "", _attribute("counts", name)
    yield "Rows", "received", "", gauges.received
    yield "Rows", "saved", "", gauges.saved
    yield "Rows", "duplicates", "", lambda run: run.session.duplicates if run.session else None
    yield "Rows", "in the database", "", lambda run: run.db_count
    yield "Rate", "published and confirmed", "rows/s", lambda run: _rounded(wording.pace(run))
    yield "Rate", "saved, start to end", "rows/s", _saving
    for name in _LATENCIES:
        yield "Confirm latency", name, "ms", _latency(name)
    for field in fields(Seconds):
        yield "Time", field.name, "s", _attribute("seconds", field.name)


def _setting(name: str) -> Callable[[RunReport], Value]:
    def of(run: RunReport) -> Value:
        value = getattr(run.parameters, name)
        return value if isinstance(value, int) else written(value)

    return of


def _attribute(part: str, name: str) -> Callable[[RunReport], Value]:
    def of(run: RunReport) -> Value:
        counted: Counts | Seconds = getattr(run, part)
        return _rounded(getattr(counted, name))

    return of


def _latency(name: str) -> Callable[[RunReport], Value]:
    return lambda run: _rounded(getattr(run.confirm_ms, name)) if run.confirm_ms else None


def _saving(run: RunReport) -> Value:
    spent, count = run.seconds.publishing + run.seconds.draining, gauges.saved(run)
    return _rounded(count / spent) if count and spent > 0.01 else None


def _rounded(value: float | None) -> Value:
    """Whole numbers stay what they are."""
    return round(value, 3) if isinstance(value, float) else value
