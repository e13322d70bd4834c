"""Runs side by side: their settings, counts, rates, latencies and verdicts, and where they differ. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from operator import attrgetter
from typing import Any

from promise_pub.parameters import RUN_PARAMETERS, Parameter
from promise_pub.presentation import wording
from promise_pub.records import RunReport, Seconds

Value = str | int | float | None
"""None where it is not known, or not yet."""

_ROWS = ("read", "rejected", "published", "confirmed", "returned", "nacked", "resent")
_MEASURED = {"Rows", "Rate", "Confirm latency", "Time"}
"""Groups whose values are amounts."""
_LATENCIES = ("p50", "p95", "p99", "max")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about each of the runs. `shown` holds its values as pages show them.

    `changes` says by how many percent each differs from the first, in groups that are measured.
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
        """True for each value that is not the first run's."""
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
    """Returns a difference as in +12 %, where both are numbers and it rounds to 1 % or more."""
    if not isinstance(first, (int, float)) or not isinstance(value, (int, float)) or not first:
        return ""
    percent = (value - first) / first * 100
    return f"{percent:+,.0f} %".replace("-", "−") if abs(percent) >= 0.5 else ""


def compare(reports: Sequence[RunReport]) -> list[Fact]:
    """Returns all facts of which at least one run has a value, group by group."""
    found = []
    for group, name, unit, read in _facts():
        values = tuple(_rounded(read(report)) for report in reports)
        if any(value is not None for value in values):
            found.append(Fact(group, name, unit, values, tuple(_in_words(value, unit) for value in values)))
    return found


def _rounded(value: Value) -> Value:
    return round(value, 3) if isinstance(value, float) else value


def _in_words(value: Value, unit: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if unit == "bytes":
        return wording.size(float(value))
    if unit == "s":
        return wording.duration(float(value))
    if unit == "ms":
        return f"{value:.1f} ms"
    if unit == "rows/s":
        return wording.rounded(float(value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _facts() -> Iterator[tuple[str, str, str, Callable[[RunReport], Value]]]:
    """Yields each fact's group, name and unit, and how to read it from a run."""
    yield "Outcome", "state", "", lambda run: run.state.value
    yield "Outcome", "verdict", "", lambda run: run.verdict and run.verdict.value
    yield "Outcome", "error", "", lambda run: run.error.code if run.error else None
    yield "File", "name", "", lambda run: run.file.name
    yield "File", "size", "bytes", lambda run: run.file.bytes
    yield "File", "sha256", "", lambda run: run.file.sha256
    for one in RUN_PARAMETERS:
        yield "Settings", one.name, "", partial(_setting, one)
    for name in _ROWS:
        yield "Rows", name, "", attrgetter(f"counts.{name}")
    yield "Rows", "received", "", attrgetter("totals.received")
    yield "Rows", "saved", "", attrgetter("totals.saved")
    yield "Rows", "duplicates", "", attrgetter("totals.repeats")
    yield "Rows", "not usable", "", attrgetter("totals.unusable")
    yield "Rows", "in the database", "", lambda run: run.db_count
    yield "Rate", "published and confirmed", "rows/s", wording.pace
    yield "Rate", "saved, start to end", "rows/s", _saving_rate
    for name in _LATENCIES:
        yield "Confirm latency", name, "ms", partial(_latency, name)
    for field in fields(Seconds):
        yield "Time", field.name, "s", attrgetter(f"seconds.{field.name}")


def _setting(parameter: Parameter, run: RunReport) -> Value:
    value: Value = parameter.as_request(getattr(run.parameters, parameter.name))
    return "" if value is None else value


def _latency(name: str, run: RunReport) -> Value:
    latency: float | None = getattr(run.confirm_ms, name, None)
    return latency


def _saving_rate(run: RunReport) -> Value:
    spent, count = run.seconds.publishing + run.seconds.draining, run.totals.saved
    return count / spent if count and spent > 0.01 else None
