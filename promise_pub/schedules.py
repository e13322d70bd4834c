"""Schedules of cron: which times are due, in a time zone, and in words. Pure.

Times in a zone are as cron of Debian has them: where clocks are turned forward, those of the hour that does not exist are
due at its end; where they are turned back, those of the hour that comes twice are due once. Schedules that come more often
than hourly go on through both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from heapq import heappop, heappush
from itertools import islice, takewhile

from cronsim import CronSim, CronSimError

MAX_MISSED = 1_000  # due times that are counted: a year of minutes would take seconds

_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # a time on the wall
_MINUTE = timedelta(minutes=1)
_MOST_TURNED = timedelta(hours=3)  # that clocks are turned back


@dataclass(frozen=True, slots=True)
class Schedule:
    """The five fields of cron in a time zone: minute, hour, day of the month, month, day of the week.

    Raises ValueError for what is none, or never comes. All times that it takes and returns are aware, those it returns in
    UTC. cronsim knows the times on the wall, without a zone: begun in an hour that comes twice, or in one that ends
    with a part of an hour, it would leave out times of a zone.
    """

    text: str
    zone: tzinfo = field(default=UTC)

    def __post_init__(self) -> None:
        try:
            if len(self.text.split()) != 5:
                raise CronSimError
            next(CronSim(self.text, _SOME_DAY))
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
        return next(self._dues(after))

    def last_due(self, at: datetime) -> datetime:
        """Returns the newest time that is due, at a moment or before it."""
        newest = None
        # cronsim begins before the time that it is given.
        start = self._wall(at) + self._turned_back(at) + timedelta(seconds=1)
        for wall in CronSim(self.text, start, reverse=True):
            dues = self._instants(wall)
            newest = max((due for due in (newest, *dues) if due and due <= at), default=None)
            if newest and dues and dues[-1] <= newest:
                return newest
        raise ValueError(f"{self.text!r} was never due before {at:%Y-%m-%d}")

    def missed(self, after: datetime, until: datetime) -> int:
        """Counts the times due after a moment and before another: 1,001 where there are more than 1,000."""
        between = takewhile(lambda due: due < until, self._dues(after))
        return sum(1 for _ in islice(between, MAX_MISSED + 1))

    def _dues(self, after: datetime) -> Iterator[datetime]:
        """Yields the times due after a moment in their order."""
        coming: list[datetime] = []
        newest = after
        for wall in CronSim(self.text, self._wall(after) - self._turned_back(after)):
            dues = self._instants(wall)
            for due in dues:
                heappush(coming, due)
            # Those of the second pass of an hour wait for all of its first.
            while dues and coming and coming[0] <= dues[0]:
                if (due := heappop(coming)) > newest:
                    newest = due
                    yield due

    def _wall(self, at: datetime) -> datetime:
        return at.astimezone(self.zone).replace(tzinfo=None, fold=0)

    def _turned_back(self, at: datetime) -> timedelta:
        """Returns how far times on the wall may be from those in their order, around a moment."""
        before, later = ((at + by).astimezone(self.zone).utcoffset() for by in (-_MOST_TURNED, _MOST_TURNED))
        return timedelta() if before == later else _MOST_TURNED

    def _instants(self, wall: datetime) -> list[datetime]:
        """Returns when a time on the wall is due, in order."""
        first, second = self._passes(wall)
        is_fixed = not any(part.startswith("*") for part in self.text.split()[:2])
        if first == second or (is_fixed and first < second):
            return [first]
        if first < second:
            return [first, second]
        if not is_fixed:
            return []
        while first > second:
            wall += _MINUTE
            first, second = self._passes(wall)
        return [first]

    def _passes(self, wall: datetime) -> tuple[datetime, datetime]:
        """Returns both moments of a time on the wall that comes twice; in a gap, the second is before the first."""
        first, second = (wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return first, second
