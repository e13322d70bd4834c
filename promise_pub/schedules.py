"""Schedules of cron: which times are due, in a time zone, and in words. Pure.

Times in a zone are as cron of Debian has them: where clocks are turned forward, those of the hour that does not exist are
due at its end; where they are turned back, those of the hour that comes twice are due once. Schedules that come more often
than hourly go on through both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from cronsim import CronSim, CronSimError

_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The five fields of cron in a time zone: minute, hour, day of the month, month, day of the week.

    Raises ValueError for what is none, or never comes. All times that it takes and returns are aware, those it returns in
    UTC.
    """

    text: str
    zone: tzinfo = field(default=UTC)

    def __post_init__(self) -> None:
        try:
            next(self._from(_SOME_DAY, backwards=False))
        except (CronSimError, StopIteration):
            raise ValueError(
                f"{self.text[:50]!r} is no schedule: five fields of cron are needed, as in 30 1 * * *, that come some day"
            ) from None

    @property
    def words(self) -> str:
        """The schedule in words, as in "At 01:30 every day"."""
        return CronSim(self.text, _SOME_DAY).explain()

    def next_due(self, after: datetime) -> datetime:
        """Returns the first time that is due after a moment."""
        # In the second pass of an hour that comes twice the first times are those of its first pass.
        return next(due for due in self._from(after, backwards=False) if due > after)

    def last_due(self, at: datetime) -> datetime:
        """Returns the newest time that is due, at a moment or before it."""
        return next(due for due in self._from(at, backwards=True) if due <= at)

    def _from(self, at: datetime, *, backwards: bool) -> Iterator[datetime]:
        for due in CronSim(self.text, at.astimezone(self.zone), reverse=backwards):
            yield due.astimezone(UTC)
