"""Where a run's rows are: read → published → confirmed → received → saved, as five bars of one scale. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from promise_pub.consumer_totals import ConsumerTotals
from promise_pub.fates import Fate
from promise_pub.presentation.wording import about, expected_rows, is_estimate
from promise_pub.records import RunReport, State, Verdict

DONE, ASIDE, LOST = "done", "aside", "lost"
"""Kinds of rows: came this far; left aside for a known reason; lost here."""

LEAST = {DONE: 0.0, ASIDE: 1.5, LOST: 4.0}  # percent of a bar: one lost row among a million is seen

_MISSING = {
    State.COMPLETED: "missing",
    State.FAILED: "not received",
    State.CANCELLED: "not received",
    State.INTERRUPTED: "not received",
}


_FATES = {
    "Read": (Fate.REJECTED,),
    "Published": (Fate.UNPUBLISHED,),
    "Confirmed": (Fate.RETURNED, Fate.NACKED, Fate.UNCONFIRMED),
    "Received": (Fate.MISSING,),
    "Saved": (Fate.UNUSABLE, Fate.REPEAT, Fate.HELD_BEFORE, Fate.UNSAVED),
}


@dataclass(frozen=True, slots=True)
class Part:
    """Stretch of a bar: the kind of its rows, its start and its width in percent of the bar."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Gauge:
    """Number of rows that came this far (None: not reported), a note on it, and the bar that shows it."""

    name: str
    count: int | None
    note: str
    parts: tuple[Part, ...]

    @property
    def fates(self) -> tuple[Fate, ...]:
        """Fates of the rows that came no further: where some were lost here, of those alone."""
        return tuple(fate for fate in _FATES[self.name] if fate.needs_attention or not self.lost)

    @property
    def lost(self) -> bool:
        """True where rows were lost here."""
        return any(part.kind == LOST for part in self.parts)


def gauges(report: RunReport) -> tuple[Gauge, ...]:
    """Returns the five gauges. A full bar stands for all rows, or all that are expected."""
    return (
        _read(report),
        _published(report),
        _confirmed(report),
        _received(report),
        _saved(report),
    )


def _read(report: RunReport) -> Gauge:
    counts = report.counts
    expected = expected_rows(report) + counts.rejected
    if is_estimate(report):
        note = f"of {about(report)}{expected:,}"
    else:
        note = f"{counts.rejected:,} rejected" if counts.rejected else "from the file"
    parts = _parts(expected, (DONE, counts.accepted), (ASIDE, counts.rejected))
    return Gauge("Read", counts.read, note, parts)


def _published(report: RunReport) -> Gauge:
    counts, expected = report.counts, expected_rows(report)
    left = expected - counts.published
    where = "left out" if report.state.final else "to go"
    note = f"{about(report)}{left:,} {where}" if left > 0 else "to the broker"
    return Gauge("Published", counts.published, note, _parts(expected, (DONE, counts.published)))


def _confirmed(report: RunReport) -> Gauge:
    counts = report.counts
    lost = counts.returned + counts.nacked
    note = _noted(
        (counts.returned, "returned"),
        (counts.nacked, "refused"),
        (counts.in_flight, "never confirmed" if report.state.final else "unconfirmed"),
    )
    parts = _parts(expected_rows(report), (DONE, counts.confirmed), (LOST, lost))
    return Gauge("Confirmed", counts.confirmed, note or "by the broker", parts)


def _received(report: RunReport) -> Gauge:
    expected = expected_rows(report)
    count = report.totals.received
    if count is None:
        return Gauge("Received", None, _not_reported(report), ())
    missing = max(0, report.counts.confirmed - count)
    note = _noted(
        (missing, _MISSING.get(report.state, "to come")),
        (max(0, count - report.counts.confirmed), "more than once"),
    )
    lost = missing if report.state is State.COMPLETED else 0
    return Gauge("Received", count, note or "by the consumer", _parts(expected, (DONE, count), (LOST, lost)))


def _saved(report: RunReport) -> Gauge:
    totals = report.totals
    count = totals.saved
    if count is None:
        return Gauge("Saved", None, _not_reported(report), ())
    if (fates := report.fates) is not None:
        known = [(fates.get(Fate.REPEAT, 0) + fates.get(Fate.HELD_BEFORE, 0), "already there")]
        losses = [(fates.get(Fate.UNUSABLE, 0), "not usable"), (fates.get(Fate.UNSAVED, 0), "unexplained")]
        aside, lost = sum(n for n, _ in known), sum(n for n, _ in losses)
        note = _noted(*losses, *known)
    else:
        aside, lost, note = _weigh_unsaved(report, totals, count)
    parts = _parts(expected_rows(report), (DONE, count), (ASIDE, aside), (LOST, lost))
    return Gauge("Saved", count, note or "by the consumer", parts)


def _weigh_unsaved(report: RunReport, totals: ConsumerTotals, saved: int) -> tuple[int, int, str]:
    """Returns how many rows are left aside and lost, and a note, where their fates are not worked out."""
    told = [(totals.repeats or 0, "already there"), (totals.unusable or 0, "not usable")]
    here = min(totals.received or 0, report.counts.confirmed)  # what is received again counts once
    rest = max(0, here - saved)
    aside = rest if report.verdict is Verdict.KEPT else min(rest, sum(n for n, _ in told))
    lost = rest - aside if report.verdict is Verdict.BROKEN else 0
    if aside and not any(n for n, _ in told):
        told.append((aside, "explained"))
    return aside, lost, _noted((lost, "unexplained")) or _noted(*told)


def _not_reported(report: RunReport) -> str:
    if report.session is not None:
        return "not reported"
    return "no session" if report.state.final else "no session yet"


def _noted(*found: tuple[int, str]) -> str:
    return ", ".join(f"{count:,} {what}" for count, what in found if count > 0)


def _parts(whole: int, *counted: tuple[str, int]) -> tuple[Part, ...]:
    """Places the stretches one after the other within the bar; the minimum width of rare ones is taken from the first."""
    room = max(whole, sum(count for _, count in counted), 1)
    widths = {kind: max(LEAST[kind], count / room * 100) for kind, count in counted if count > 0}
    over = max(0.0, sum(widths.values()) - 100)
    if over and DONE in widths:
        widths[DONE] = max(0.0, widths[DONE] - over)
    return tuple(_placed(widths))


def _placed(widths: Mapping[str, float]) -> Iterator[Part]:
    start = 0.0
    for kind, width in widths.items():
        yield Part(kind, round(start, 2), round(min(width, 100 - start), 2))
        start += width
