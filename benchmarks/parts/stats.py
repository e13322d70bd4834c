"""Measures statistics: how fast they catch up, what a run and pages feel of it, and how soon an event is seen in them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.figures import Section, Table, Target, percentile, ratio, spread, whole
from benchmarks.journal.events import fill_journal
from benchmarks.journal.taking import Inserted
from benchmarks.measure import Bench, in_rotation, middle, rates, simulate
from benchmarks.stats.catching_up import A_DAY, PLUGINS, CaughtUp, catch_up
from benchmarks.stats.folding import microseconds_an_event
from benchmarks.stats.live import all_live, seconds_until_visible
from benchmarks.stats.original import count_as_the_original
from benchmarks.stats.reading import AS_JSON, AS_SVG, LAST_PAGE, measure_reading
from promise_pub.features.stats.settings import StatsSettings

BACKLOG, QUICK_BACKLOG = 1_000_000, 100_000  # events
PEER_EVENTS, QUICK_PEER_EVENTS = 2_000, 500
PAIRS = 3  # runs a round with a backlog, and as many without: what it costs is near the noise
OURS, PEER, LIVE = "catching up", "catching up, statscache's algorithm", "bus → journal → statistics"
BEHIND, ALONE = "a run, statistics catching up", "a run, no statistics"
# The targets, in units of their figures.
EVENTS_A_SECOND, OF_PEER, LIVE_A_SECOND, VISIBLE = 20_000, 20.0, 6_000, 2.5
FIRST_PAGE, CAUGHT_UP, PAGE_MS, OF_ALONE, ONE_MORE = 2.0, 60.0, 50.0, 0.9, 6.0
JSON_MS, SVG_MS, LAST_MS = 30.0, 60.0, 100.0


async def stats(bench: Bench) -> Section:
    backlog = QUICK_BACKLOG if bench.quick else BACKLOG
    caught: list[CaughtUp] = []
    counted = await in_rotation(
        "stats",
        bench.rounds,
        {OURS: partial(_catch_up, bench, backlog, caught), PEER: partial(_peer, bench), LIVE: partial(all_live, bench)},
        lambda one: f"{one.rate:>8,.0f} events/s",
    )
    runs = await in_rotation(
        "stats",
        bench.rounds * PAIRS,
        {BEHIND: partial(_run, bench, backlog), ALONE: partial(_run, bench, 0)},
        lambda result: f"{rates([result])[0]:>8,.0f} rows/s",
    )
    visible = await seconds_until_visible(bench)
    pages = await measure_reading(bench)
    one_more = await asyncio.to_thread(microseconds_an_event)
    return Section(
        title="Statistics",
        text=(
            f"A fresh server finds {backlog:,} events of 300 bytes in its journal, of which a day would have a million, with ten statistics that count each of "
            "them, nearly all by the minute, the hour and the day, and ten of its own that count none; `GET /` is asked "
            "meanwhile, on new connections. The peer is statscache's algorithm: pages of 100 events, a row looked for, then "
            "inserted or updated, for each statistic, window and key. A run is beside the one without statistics that "
            "followed it. An event is visible when `GET /stats/volume-by-topic` tells it, from its confirm on."
        ),
        table=_table(caught, counted, runs, visible, pages, one_more),
        targets=[*_of_counting(caught, counted, one_more), *_of_others(runs, visible, pages)],
    )


async def _catch_up(bench: Bench, backlog: int, caught: list[CaughtUp]) -> Inserted:
    one = await catch_up(bench, backlog)
    caught.append(one)
    return Inserted(one.events, one.seconds)


async def _peer(bench: Bench) -> Inserted:
    events = QUICK_PEER_EVENTS if bench.quick else PEER_EVENTS
    async with bench.services.database() as database:
        await fill_journal(database, events, A_DAY)
        return await count_as_the_original(database, events)


async def _run(bench: Bench, backlog: int) -> Mapping[str, Any]:
    """A run at full speed; with a backlog, statistics catch up beside it."""
    file = await bench.csv(bench.rows)
    services = bench.services
    async with services.database() as database:
        if backlog:
            await fill_journal(database, backlog, A_DAY)
        async with (
            services.counting_consumer() as consumer,
            services.server(
                consumer, database, features={"stats": StatsSettings(enabled=bool(backlog))}, plugins=PLUGINS
            ) as server,
        ):
            report = await simulate(server, file)
            return {"rows": report["rows"]["confirmed"], "seconds": report["seconds"]["publishing"]}


def _table(
    caught: Sequence[CaughtUp],
    counted: Mapping[str, Sequence[Inserted]],
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    visible: Sequence[float],
    pages: Mapping[str, Sequence[float]],
    one_more: float,
) -> Table:
    rows = [(name, "events/s", *_median([one.rate for one in each])) for name, each in counted.items()]
    rows.append(("one more statistic", "µs an event", f"{one_more:.1f}", ""))
    rows.append(("first page with a backlog", "s", *_median([one.first_page for one in caught], 1)))
    rows.append(("highest memory with a backlog", "MB", *_median([one.peak for one in caught])))
    rows.append(
        ("`GET /` while catching up", "ms, p50 · p99", _shares([page for one in caught for page in one.pages]), "")
    )
    rows += [(name, "rows/s", *_median(rates(each))) for name, each in runs.items()]
    rows.append(("visible after", "ms, p50 · p99", _shares(visible), ""))
    rows += [(name, "ms, p50 · p99", _shares(each), "") for name, each in pages.items()]
    return Table(("", "", "median", "spread"), rows)


def _median(values: Sequence[float], digits: int = 0) -> tuple[str, str]:
    return f"{middle(values):,.{digits}f}", spread(values)


def _shares(seconds: Sequence[float]) -> str:
    return " · ".join(f"{percentile(seconds, share) * 1000:.1f}" for share in (0.5, 0.99))


def _of_counting(
    caught: Sequence[CaughtUp], counted: Mapping[str, Sequence[Inserted]], one_more: float
) -> Sequence[Target]:
    ours, peer, live = (middle([one.rate for one in counted[name]]) for name in (OURS, PEER, LIVE))
    first, seconds = (middle([getattr(one, name) for one in caught]) for name in ("first_page", "seconds"))
    page = percentile([page for one in caught for page in one.pages], 0.99) * 1000
    return [
        Target("catching up, events/s", f"≥ {EVENTS_A_SECOND:,}", whole(ours), ours >= EVENTS_A_SECOND),
        Target(
            "catching up beside statscache's algorithm", f"≥ {OF_PEER:g} ×", ratio(ours / peer), ours / peer >= OF_PEER
        ),
        Target("bus → journal → statistics, events/s", f"≥ {LIVE_A_SECOND:,}", whole(live), live >= LIVE_A_SECOND),
        Target("one more statistic", f"≤ {ONE_MORE:g} µs an event", f"{one_more:.1f} µs", one_more <= ONE_MORE),
        Target("first page with a backlog", f"≤ {FIRST_PAGE:g} s", f"{first:.1f} s", first <= FIRST_PAGE),
        Target(
            f"{caught[0].events:,} events of backlog", f"≤ {CAUGHT_UP:g} s", f"{seconds:.1f} s", seconds <= CAUGHT_UP
        ),
        Target("`GET /` while catching up, p99", f"≤ {PAGE_MS:g} ms", f"{page:.1f} ms", page <= PAGE_MS),
    ]


def _of_others(
    runs: Mapping[str, Sequence[Mapping[str, Any]]], visible: Sequence[float], pages: Mapping[str, Sequence[float]]
) -> Sequence[Target]:
    kept = [behind / alone for behind, alone in zip(rates(runs[BEHIND]), rates(runs[ALONE]), strict=True)]
    seen = percentile(visible, 0.99)
    asked = [(AS_JSON, JSON_MS, 0.5), (AS_SVG, SVG_MS, 0.5), (LAST_PAGE, LAST_MS, 0.5)]
    return [
        Target(
            "a run's rate, statistics catching up beside it",
            f"≥ {OF_ALONE} ×",
            f"{middle(kept):.3f} × (median of {len(kept)} pairs, {spread(kept)})",
            middle(kept) >= OF_ALONE,
        ),
        Target("an event visible after its publish, p99", f"≤ {VISIBLE:g} s", f"{seen:.2f} s", seen <= VISIBLE),
        *(
            Target(f"{name}, p50", f"≤ {limit:g} ms", f"{took:.1f} ms", took <= limit)
            for name, limit, took in (
                (name, limit, percentile(pages[name], share) * 1000) for name, limit, share in asked
            )
        ),
    ]
