"""Measures the journal: how fast it takes events from the bus and gives them out, and what it costs a run and the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.figures import Section, Table, Target, percentile, ratio, spread, whole
from benchmarks.journal.events import BODY_BYTES, TOPICS
from benchmarks.journal.reading import ANYWHERE, EVENTS, EXACT, LIMIT, PATTERN, QUICK_EVENTS, measure_reading
from benchmarks.journal.resting import count_statements
from benchmarks.journal.taking import COPIED, ONE_BY_ONE, OURS, Inserted, measure_taking
from benchmarks.measure import Bench, in_rotation, middle, rates
from benchmarks.parts.publish import real_run
from promise_pub.features.journal.settings import JournalSettings

PAIRS = 3  # runs a round with events on, and as many with them off: what they cost is less than the noise
ON, OFF = "a run, events on", "a run, events off"
# The targets, as shares and in units of their figures.
OF_COPY, OF_ONE_BY_ONE, EVENTS_A_SECOND = 0.4, 8.0, 10_000
ANYWHERE_MS, NEVER_MS, STATEMENTS, OF_OFF = 10.0, 200.0, 3.0, 0.99


async def journal(bench: Bench) -> Section:
    taken = await measure_taking(bench)
    runs = await _measure_runs(bench)
    statements = await count_statements(bench)
    pages = await measure_reading(bench)
    kept = [on / off for on, off in zip(rates(runs[ON]), rates(runs[OFF]), strict=True)]
    return Section(
        title="Journal",
        text=(
            f"{bench.rows:,} events of {BODY_BYTES} bytes of JSON, {TOPICS} topics, over one day, wait in the queue of "
            "the bus; a fresh server takes them, and its rate is from the first batch that is committed to the last. "
            "What a broker can hand out at all, to a reader that drops it, is beside it: it has the same processor. "
            "COPY (binary, one transaction) and SQLAlchemy (its key looked for, one event inserted, a commit) insert "
            f"the same rows into the same table with all its indexes. A run of {bench.rows:,} rows with `[journal] "
            "enabled` is beside the one without that followed it. `GET /journal` is asked on a kept connection, at "
            f"random numbers of {QUICK_EVENTS if bench.quick else EVENTS:,} events, {LIMIT} at once. A server with "
            f"journal and bus sends {statements:.1f} statements a second while nothing happens, as the log of its "
            "database shows them (`log_statement = all`)."
        ),
        table=_table(taken, runs, pages),
        targets=[
            *_targets_of_taking(taken),
            *_targets_of_reading(pages),
            Target(
                "statements of an idle server, a second",
                f"≤ {STATEMENTS:g}",
                f"{statements:.1f}",
                statements <= STATEMENTS,
            ),
            Target(
                "a run's rate, events on beside off",
                f"≥ {OF_OFF} ×",
                f"{middle(kept):.3f} × (median of {len(kept)} pairs, {spread(kept)})",
                middle(kept) >= OF_OFF,
            ),
        ],
    )


async def _measure_runs(bench: Bench) -> dict[str, list[Mapping[str, Any]]]:
    measures = {
        name: partial(real_run, bench, bench.rows, features={"journal": JournalSettings(enabled=name == ON)})
        for name in (ON, OFF)
    }
    return await in_rotation(
        "journal", bench.rounds * PAIRS, measures, lambda result: f"{rates([result])[0]:>8,.0f} rows/s"
    )


def _table(
    taken: Mapping[str, Sequence[Inserted]],
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    pages: Mapping[str, Sequence[float]],
) -> Table:
    rows = [(name, "events/s", *_median([one.rate for one in each])) for name, each in taken.items()]
    rows.append(("the server meanwhile", "µs an event", *_median([_processor(one) for one in taken[OURS]], 1)))
    rows += [(name, "rows/s", *_median(rates(each))) for name, each in runs.items()]
    for name, each in pages.items():
        figures = (f"{percentile(each, share) * 1000:.1f}" for share in (0.5, 0.99))
        rows.append((f"`GET /journal`, {name}", "ms, p50 · p99", " · ".join(figures), ""))
    return Table(("", "", "median", "spread"), rows)


def _median(values: Sequence[float], digits: int = 0) -> tuple[str, str]:
    return f"{middle(values):,.{digits}f}", spread(values)


def _processor(inserted: Inserted) -> float:
    """Returns microseconds of processor an event."""
    return inserted.processor / inserted.rows * 1e6


def _targets_of_taking(taken: Mapping[str, Sequence[Inserted]]) -> list[Target]:
    ours, copied, one_by_one = (middle([one.rate for one in taken[name]]) for name in (OURS, COPIED, ONE_BY_ONE))
    of_copy, of_one = ours / copied, ours / one_by_one
    return [
        Target("bus → journal beside COPY", f"≥ {OF_COPY} ×", ratio(of_copy), of_copy >= OF_COPY),
        Target("bus → journal beside SQLAlchemy", f"≥ {OF_ONE_BY_ONE:g} ×", ratio(of_one), of_one >= OF_ONE_BY_ONE),
        Target("bus → journal, events/s", f"≥ {EVENTS_A_SECOND:,}", whole(ours), ours >= EVENTS_A_SECOND),
    ]


def _targets_of_reading(pages: Mapping[str, Sequence[float]]) -> list[Target]:
    anywhere = percentile(pages[ANYWHERE], 0.5) * 1000
    never = max(percentile(pages[name], 0.99) for name in (EXACT, PATTERN)) * 1000
    return [
        Target(
            "`GET /journal?after=` anywhere, p50",
            f"≤ {ANYWHERE_MS:g} ms",
            f"{anywhere:.1f} ms",
            anywhere <= ANYWHERE_MS,
        ),
        Target("a topic that never came, p99", f"≤ {NEVER_MS:g} ms", f"{never:.1f} ms", never <= NEVER_MS),
    ]
