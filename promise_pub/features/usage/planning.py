"""The days that a run condenses, and those that it leaves as they are. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from promise_pub.errors import BadParameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The arguments of a run."""

    start: date | None = None
    end: date | None = None
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The state that a run finds. `next` is the first day that is not final; `oldest` the first that is condensed; `first`
    that of the configuration, or else of the journal. The journal has every event from `whole_from` on; None: all there ever
    were."""

    today: date
    next: date | None
    oldest: date | None
    first: date
    whole_from: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Days from `first` to `last`, both included; none where `first` is later. `next` is the first day that is not final
    before the run, `was_ahead` tells that it was kept as a later one, by a clock that was wrong. `left` are days before
    `first` that were asked for: their events are not all there any more, or they would be swept at once."""

    first: date
    last: date
    next: date
    was_ahead: bool
    left: date | None

    @property
    def total(self) -> int:
        return max((self.last - self.first).days + 1, 0)


def next_after(next: date, day: date, today: date, settle: int) -> date:
    """Returns the first day that is not final once a day is condensed: no other than the first that was not moves it."""
    return day + timedelta(days=1) if day == next and day + timedelta(days=settle) < today else next


def plan(asked: Asked, known: Known, settle: int, keep: int) -> Plan:
    """Raises BadParameter for a range that ends after today, or before it starts."""
    today = known.today
    if asked.end and asked.end > today:
        raise BadParameter(f"end must not be later than today, {today}, not {asked.end}.")
    # Days that cannot be condensed as a whole again stay as they are, and so do those that are too old to be kept.
    lowest = max(today - timedelta(days=keep), known.whole_from or date.min)
    # Where a clock was ahead, nothing would be condensed until the day that it told.
    newest = max(today - timedelta(days=settle), known.first)
    begun = min(known.next, newest) if known.next else known.first
    start = asked.start or (min(known.first, known.oldest or known.first) if asked.reset else begun)
    last = asked.end or today
    if (asked.start or asked.end) and start > last:
        raise BadParameter(f"The last day, {last}, must not be before the first, {start}.")
    first = max(start, lowest)
    return Plan(
        first=first,
        last=last,
        next=max(begun, lowest),
        was_ahead=known.next is not None and known.next > today,
        left=start if start < first else None,
    )
