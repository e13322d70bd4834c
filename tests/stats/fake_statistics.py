"""Statistics and a journal in memory, as pages ask for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from promise_pub.errors import DatabaseError
from promise_pub.features.stats.errors import StatisticNotFound
from promise_pub.features.stats.feature import feature_of
from promise_pub.features.stats.feature import with_services as feature_with_services
from promise_pub.features.stats.ports import Bounds, Mark
from promise_pub.features.stats.questions import Details, Known, Row, Selection, Spark
from promise_pub.features.stats.records import OTHERS, Layout, Registered
from promise_pub.http.features import OpenFeature


class FakeStatistics:
    """The part of StoredStatistics that pages use, for counts, members and entries."""

    def __init__(self) -> None:
        self.away: DatabaseError | None = None
        """The error that every question raises while it is set."""
        self.details: dict[str, Details] = {}
        self.rows: dict[tuple[str, int], list[Row]] = defaultdict(list)
        self.asked: list[Selection] = []

    def add(self, layout: Layout, rows: Mapping[int, Sequence[Row]] | None = None, **more: Any) -> Details:
        """Adds a statistic with its rows by width; `more` is of Registered or of Details; `first` are events left out."""
        of_details = {name: more.pop(name) for name in ("others", "gaps") if name in more}
        of_details["left_out"] = more.pop("first", ())
        known = {name: more.pop(name) for name in ("next",) if name in more}
        registered = Registered(
            **{"id": len(self.details) + 1, "layout": layout, "counted_from": 1, "position": 0, **more}
        )
        for width, some in (rows or {}).items():
            self.rows[layout.name, width] += some
        oldest = {width: min(row.at for row in some) for width, some in (rows or {}).items() if some}
        gaps = len(of_details.get("gaps", ()))
        details = Details(known=Known(registered=registered, gaps=gaps, **known), oldest=oldest, **of_details)
        self.details[layout.name] = details
        return details

    def _ask(self) -> None:
        if self.away:
            raise self.away

    async def list(self) -> Sequence[Known]:
        self._ask()
        return [self.details[name].known for name in sorted(self.details)]

    async def sparks(self, asked: Mapping[int, tuple[int, datetime]]) -> Mapping[int, Sequence[Spark]]:
        self._ask()
        found: dict[int, list[Spark]] = {}
        for details in self.details.values():
            statistic = details.known.registered
            if statistic.id in asked:
                width, since = asked[statistic.id]
                rows = self.rows[statistic.layout.name, width]
                found[statistic.id] = [Spark(row.at, int(row.values[0] or 0)) for row in rows if row.at >= since]
        return found

    async def find(self, name: str, version: int | None = None) -> Details:
        self._ask()
        details = self.details.get(name)
        if not details or version not in (None, details.known.registered.layout.version):
            raise StatisticNotFound(f"There is no statistic {name[:60]!r}.")
        return details

    async def page(self, selection: Selection, limit: int, skip: int) -> tuple[Sequence[Row], int]:
        rows = list(await self.whole(selection))
        if selection.descending:
            rows.reverse()
        return rows[skip : skip + limit], len(rows)

    async def whole(self, selection: Selection, top: int | None = None) -> Sequence[Row]:
        self._ask()
        self.asked.append(selection)
        layout = selection.statistic.layout
        rows = [
            row
            for row in self.rows[layout.name, selection.width]
            if selection.since <= row.at < selection.until
            and all(want in (None, part) for want, part in zip(selection.keys, row.key.split("\x1f"), strict=False))
        ]
        if top is not None and layout.kind == "counting":
            rows = _keep(rows, top)
        return sorted(rows, key=lambda row: (row.at, row.key))


def _keep(rows: Sequence[Row], top: int) -> list[Row]:
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row.key] += int(row.values[0] or 0)
    kept = sorted((name for name in sums if name != OTHERS), key=lambda name: (-sums[name], name))[:top]
    counts: dict[tuple[datetime, str], int] = defaultdict(int)
    for row in rows:
        counts[row.at, row.key if row.key in kept else OTHERS] += int(row.values[0] or 0)
    return [Row(at, name, (count,)) for (at, name), count in counts.items()]


class FakeJournal:
    """The part of the journal that pages use."""

    def __init__(self, newest: int = 0) -> None:
        self.newest = newest
        self.told: list[Mark] = []

    async def bounds(self) -> Bounds:
        return Bounds(1, self.newest)

    async def marks(self, since: datetime, until: datetime, most: int) -> Sequence[Mark]:
        return [mark for mark in self.told if since <= mark.at < until][-most:]


def with_services(statistics: FakeStatistics, journal: FakeJournal) -> OpenFeature:
    """The feature with these instead of what is stored."""
    feature = feature_of(lambda _: journal)  # type: ignore[arg-type, return-value]
    return feature_with_services(statistics, journal, "promise-pub", feature)  # type: ignore[arg-type]
