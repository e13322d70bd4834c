"""The list of statistics, read: with a line for each of how many events it counted lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from promise_pub.errors import DatabaseError
from promise_pub.features.stats.intervals import start_of
from promise_pub.features.stats.ports import Journal
from promise_pub.features.stats.questions import Spark, StatisticsReader
from promise_pub.features.stats.records import WHOLE, Layout
from promise_pub.features.stats.report import Overview
from promise_pub.presentation.charts import SPARK_HEIGHT, SPARK_WIDTH
from promise_pub.presentation.svg import number

SPARK_WINDOWS = 24


async def list_statistics(reader: StatisticsReader, journal: Journal) -> Overview:
    """Reads the list."""
    newest = (await journal.bounds()).newest
    return Overview(await reader.list(), newest)


async def spark_paths(reader: StatisticsReader, overview: Overview, now: datetime) -> Mapping[int, str]:
    """Returns the paths of the lines, by statistic. There are none where they cannot be read in time."""
    asked = {}
    for one in overview.known:
        if width := _spark_width(one.registered.layout):
            since = start_of(now, width) - (SPARK_WINDOWS - 1) * timedelta(seconds=width)
            asked[one.registered.id] = width, since
    try:
        found = await reader.sparks(asked)
    except DatabaseError:
        return {}
    return {statistic: _path(*asked[statistic], found[statistic]) for statistic in found}


def _spark_width(layout: Layout) -> int:
    """Returns the widest interval: it has the fewest rows; WHOLE where there are none to count."""
    return max(layout.intervals, default=WHOLE) if layout.kind in ("counting", "measuring") else WHOLE


def _path(width: int, since: datetime, sparks: Sequence[Spark]) -> str:
    counts = dict(sparks)
    values = [max(0, counts.get(since + n * timedelta(seconds=width), 0)) for n in range(SPARK_WINDOWS)]
    top = max(values)
    if not top:
        return ""
    step = SPARK_WIDTH / (SPARK_WINDOWS - 1)
    return "M" + "L".join(
        f"{number(n * step)} {number(SPARK_HEIGHT * (1 - value / top))}" for n, value in enumerate(values)
    )
