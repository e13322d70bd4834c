"""What this process has done since its start: runs that ended, rows by fate, how long confirms took. It only grows.

Nothing is counted twice and nothing at each row: a run's own counts are looked at now and then, and what they have
grown by since the last look is added. What a resumed run did in an earlier process is not this one's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from promise_pub.delivery.evidence.latency import LatencyHistogram
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.records import Counts, SessionView, State, Verdict

FATES = (
    "read",
    "rejected",
    "published",
    "confirmed",
    "returned",
    "nacked",
    "resent",
    "received",
    "saved",
    "duplicates",
    "invalid",
)
"""Of rows: by the file, the broker, and what the consumer told of its sessions."""


class Tally:
    """Looks at the runs of a process, one at a time, from the beginning of each to its end."""

    def __init__(self) -> None:
        self.ended: Counter[tuple[State, Verdict | None]] = Counter()
        self._rows = Counter(dict.fromkeys(FATES, 0))
        self._latency = LatencyHistogram()
        self._run: ActiveRun | None = None
        self._seen: Mapping[str, int] = {}
        self._histogram: LatencyHistogram | None = None
        self._seen_latency = LatencyHistogram()

    def begin(self, run: ActiveRun) -> None:
        """Its turn has come: what it counts already was another process's doing."""
        self._run, self._seen = run, _by_fate(run.counts(), run.session)
        self._histogram, self._seen_latency = run.latency, run.latency.copy()

    def look(self) -> None:
        """Adds what the run that goes has come to. Where its counts start over, with a new session, look before."""
        if self._run is None:
            return
        now = _by_fate(self._run.counts(), self._run.session)
        for fate, rows in now.items():
            self._rows[fate] += max(0, rows - self._seen[fate])
        self._seen = now
        self._look_at_latency(self._run.latency)

    def _look_at_latency(self, histogram: LatencyHistogram) -> None:
        if histogram is not self._histogram:  # a new session counts anew
            self._histogram, self._seen_latency = histogram, LatencyHistogram()
        self._latency.merge(histogram.since(self._seen_latency))
        self._seen_latency = histogram.copy()

    def end(self, run: ActiveRun) -> None:
        """It has ended, whether its turn had come or not."""
        if run is self._run:
            self.look()
            self._run = self._histogram = None
        report = run.report()
        self.ended[report.state, report.verdict] += 1

    def rows(self) -> Mapping[str, int]:
        """Rows by fate, up to this moment."""
        self.look()
        return dict(self._rows)

    def latency(self) -> LatencyHistogram:
        """How long confirms took, up to this moment."""
        self.look()
        return self._latency


def _by_fate(counts: Counts, session: SessionView | None) -> dict[str, int]:
    """What was not told is none."""
    return {fate: getattr(counts, fate, None) or (getattr(session, fate, None) or 0) for fate in FATES}
