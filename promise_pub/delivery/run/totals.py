"""Totals of this process since its start, over all runs: they only grow.

Nothing is counted per row. The counts of the current run are read now and then, and what they grew by since the last
time is added. What a resumed run did in an earlier process is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from promise_pub.delivery.evidence.latency import LatencyHistogram, RecentLatency
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.telling import FATES, REPORTED, count_fates
from promise_pub.records import State, Verdict


class RunTotals:
    """Sums over the runs of a process, which come one at a time."""

    def __init__(self) -> None:
        self.ended: Counter[tuple[State, Verdict | None]] = Counter()
        self._rows = Counter(dict.fromkeys(FATES, 0))
        self._latency = LatencyHistogram()
        self._run: ActiveRun | None = None
        self._seen: Mapping[str, int] = {}
        self._recent = RecentLatency()

    def begin(self, run: ActiveRun) -> None:
        """Makes this run the current one. Its counts up to now are not this process's."""
        self._run, self._seen = run, count_fates(run.counts(), run.sessions.totals)
        self._recent = RecentLatency(run.latency)

    def update(self) -> None:
        """Adds the current run's progress since the last call. Call it before a new session resets the run's counts."""
        if self._run is None:
            return
        now = count_fates(self._run.counts(), self._run.sessions.totals)
        for fate, rows in now.items():
            self._rows[fate] += max(0, rows - self._seen[fate])
        # A session that ends accounts for fewer rows than it reported: those that another gets again count once.
        self._seen = now | {fate: max(self._seen[fate], now[fate]) for fate in REPORTED}
        self._latency.merge(self._recent.take(self._run.latency))

    def end(self, run: ActiveRun) -> None:
        """Counts a run that has ended, also one whose turn never came."""
        if run is self._run:
            self.update()
            self._run = None
        report = run.report()
        self.ended[report.state, report.verdict] += 1

    def rows(self) -> Mapping[str, int]:
        """Returns the rows by fate up to this moment."""
        self.update()
        return dict(self._rows)

    def latency(self) -> LatencyHistogram:
        """Returns the latencies of all confirms up to this moment."""
        self.update()
        return self._latency
