"""Measures usage: how long a day takes to be condensed, and three years to be counted, beside the original's own query."""

from __future__ import annotations

from benchmarks.figures import Section, Table, Target, percentile, ratio
from benchmarks.measure import Bench, middle, say
from benchmarks.usage.counting import RECENT, WINDOW, Measured, measure_usage

LOGINS, QUICK_LOGINS = 1_000_000, 50_000
USERS = 2_000
DAYS, QUICK_DAYS = 1_096, 120
# The targets, in units of their figures.
DAY_MS, ALL_SECONDS, HELD_MS = 15.0, 20.0, 20.0
COUNT_MS, ROLLING_MS, RECENT_MS, OF_PEER = 400.0, 600.0, 40.0, 5.0


async def usage(bench: Bench) -> Section:
    logins, days = (QUICK_LOGINS, QUICK_DAYS) if bench.quick else (LOGINS, DAYS)
    async with bench.services.database() as database:
        measured = await measure_usage(database, logins, USERS, days)
    say(f"usage  {middle(measured.days) * 1000:.1f} ms a day, {measured.all_days:.1f} s for all")
    return Section(
        title="Usage",
        text=(
            f"{logins:,} logins of {USERS:,} users over {days:,} days, in the journal. Each day is condensed in a transaction "
            "of its own; then different people are counted, with the database's own caches warm. The original groups with "
            "pandas what it reads one by one: here a row for each day and user, where it has every login."
        ),
        table=_table(measured),
        targets=_targets(measured, days),
    )


def _table(measured: Measured) -> Table:
    rows = [
        ("a day condensed, median", f"{middle(measured.days) * 1000:.1f}", "", ""),
        ("a day condensed, p99", f"{percentile(measured.days, 0.99) * 1000:.1f}", "", ""),
        ("all days condensed", f"{measured.all_days * 1000:,.0f}", "", ""),
        ("the loop held meanwhile, p99", f"{percentile(measured.held, 0.99) * 1000:.1f}", "", ""),
    ]
    for name, seconds in measured.counts.items():
        peer = measured.peers.get(name)
        told = (f"{peer * 1000:,.0f}", ratio(peer / seconds)) if peer else ("", "")
        rows.append((name, f"{seconds * 1000:,.1f}", *told))
    return Table(("", "ms", "the original, ms", "beside the original"), rows)


def _targets(measured: Measured, days: int) -> list[Target]:
    day, held = middle(measured.days) * 1000, percentile(measured.held, 0.99) * 1000
    counts = {name: seconds * 1000 for name, seconds in measured.counts.items()}
    whole = max(took for name, took in counts.items() if name.startswith(f"{days:,} days by"))
    rolling = counts[f"{days:,} days, rolling {WINDOW}"]
    recent = max(took for name, took in counts.items() if name.startswith(f"{RECENT} days"))
    faster = min(peer / measured.counts[name] for name, peer in measured.peers.items())
    return [
        Target("a day condensed, median", f"≤ {DAY_MS:g} ms", f"{day:.1f} ms", day <= DAY_MS),
        Target(
            f"{days:,} days condensed",
            f"≤ {ALL_SECONDS:g} s",
            f"{measured.all_days:.1f} s",
            measured.all_days <= ALL_SECONDS,
        ),
        Target("the loop held meanwhile, p99", f"≤ {HELD_MS:g} ms", f"{held:.1f} ms", held <= HELD_MS),
        Target(f"{days:,} days, the slowest", f"≤ {COUNT_MS:g} ms", f"{whole:.0f} ms", whole <= COUNT_MS),
        Target(f"{days:,} days, rolling {WINDOW}", f"≤ {ROLLING_MS:g} ms", f"{rolling:.0f} ms", rolling <= ROLLING_MS),
        Target(f"{RECENT} days, the slowest", f"≤ {RECENT_MS:g} ms", f"{recent:.0f} ms", recent <= RECENT_MS),
        Target("beside the original, the least", f"≥ {OF_PEER:g} ×", ratio(faster), faster >= OF_PEER),
    ]
