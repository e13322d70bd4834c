"""Statistics on pages of others: runs of the last days as a small chart, and links to the statistics that a run is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from aiohttp import web
from markupsafe import Markup

from promise_pub.concurrency import SharedWork
from promise_pub.features.stats.chart import draw_chart
from promise_pub.features.stats.chart.captions import rows_of_table
from promise_pub.features.stats.chart.series import Chart, Series
from promise_pub.features.stats.intervals import start_of
from promise_pub.features.stats.questions import Row, Selection, StatisticsReader
from promise_pub.features.stats.records import Layout
from promise_pub.features.stats.report import split_key
from promise_pub.http.insets import Inset, Place
from promise_pub.http.responses import fragment
from promise_pub.topics import matches

DAYS = 14
DAY = 86_400  # seconds
HEIGHT = 90  # pixels
RUNS = "runs"  # the statistic that is drawn
VERDICTS = {"kept": 1, "broken": 5, "unknown": 3, "none": 6}
"""Numbers of styles, in the order of the stack."""


class RunStatistics:
    """Reads what other pages show of statistics. All who ask at the same time share one reading of the database."""

    def __init__(self, reader: StatisticsReader, prefix: str) -> None:
        self._reader = reader
        self._topic = f"{prefix}.run.ended"
        self._links = SharedWork(self._list_links)
        self._chart = SharedWork(self._read_chart)

    async def links(self) -> Sequence[str]:
        """Returns the names of the statistics that runs are in."""
        return await self._links.result()

    async def chart(self) -> Chart:
        """Returns the runs of the last days by verdict. Raises StatisticNotFound."""
        return await self._chart.result()

    async def close(self) -> None:
        await self._links.close()
        await self._chart.close()

    async def _list_links(self) -> Sequence[str]:
        layouts = [one.registered.layout for one in await self._reader.list()]
        return [layout.name for layout in layouts if self._is_about_runs(layout)]

    def _is_about_runs(self, layout: Layout) -> bool:
        return any(pattern != "#" and matches(pattern, self._topic) for pattern in layout.topics)

    async def _read_chart(self) -> Chart:
        statistic = (await self._reader.find(RUNS)).known.registered
        today = start_of(datetime.now(UTC), DAY)
        starts = [today - n * timedelta(days=1) for n in range(DAYS - 1, -1, -1)]
        rows = await self._reader.whole(Selection(statistic=statistic, width=DAY, since=starts[0]))
        return Chart(
            title=f"Runs of the last {DAYS} days by verdict",
            unit="",
            kind="bars",
            width=DAY,
            starts=starts,
            series=by_verdict(rows, starts, statistic.layout),
        )


def by_verdict(rows: Sequence[Row], starts: Sequence[datetime], layout: Layout) -> list[Series]:
    """Returns the counts of each verdict that there is; of keys that are summed up nothing is known."""
    place = layout.columns.index("verdict")
    places = {start: number for number, start in enumerate(starts)}
    counts: dict[str, list[float]] = {}
    for row in rows:
        key = split_key(layout, row.key)
        if key is not None and row.at in places:
            counts.setdefault(key[place], [0.0] * len(starts))[places[row.at]] += float(row.values[0] or 0)
    return [Series(number, name, counts[name]) for name, number in VERDICTS.items() if name in counts]


RUN_STATISTICS = web.AppKey("run_statistics", RunStatistics)


async def draw_runs(request: web.Request, _: datetime | None) -> Markup:
    """Returns the chart for the first page."""
    chart = await request.app[RUN_STATISTICS].chart()
    context = {"days": DAYS, "chart": chart, "drawn": draw_chart(chart, HEIGHT), "rows": [*rows_of_table(chart)]}
    return Markup(fragment(request, "stats/runs.html", context))


async def link_statistics(request: web.Request, at: datetime | None) -> Markup:
    """Returns links to the statistics that a run is in, on its day."""
    names = await request.app[RUN_STATISTICS].links()
    query = f"?since={at:%Y-%m-%d}&until={at + timedelta(days=1):%Y-%m-%d}" if at else ""
    return Markup(fragment(request, "stats/links.html", {"names": names, "query": query})) if names else Markup()


INSETS: Mapping[Place, Inset] = {
    Place.FIRST_PAGE: draw_runs,
    Place.RUN: link_statistics,
    Place.RUNS: link_statistics,
}
