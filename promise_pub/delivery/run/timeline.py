"""The course of a run over time, in a few hundred numbers however long it takes."""

from __future__ import annotations

from collections.abc import Iterable

from promise_pub.consumer_totals import ConsumerTotals
from promise_pub.delivery.evidence.latency import LatencyHistogram, RecentLatency
from promise_pub.records import Counts
from promise_pub.samples import Sample

MAX_SAMPLES = 120  # a chart is some hundred pixels wide
FIRST_INTERVAL = 0.05  # seconds between samples at first, so that a short run has a curve too
LATE = 2.0  # seconds over the interval after which nobody knows what happened meanwhile


class Timeline:
    """Samples of a run, evenly spaced. When there are too many, every second one is dropped, and the interval doubles.

    `samples` are of an earlier process: what happened between the last of them and the next is not known.
    """

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._samples = [*samples]
        self._taken_up = bool(self._samples)
        self.interval = max([FIRST_INTERVAL, *(one.at / len(self._samples) for one in self._samples[-1:])])
        """Seconds until the next sample is due."""
        self._recent = RecentLatency()
        self._thin_out()

    @property
    def samples(self) -> tuple[Sample, ...]:
        return tuple(self._samples)

    def add(self, at: float, counts: Counts, totals: ConsumerTotals, latency: LatencyHistogram) -> None:
        """Adds a sample, `at` seconds of work, with the latencies of the confirms since the last one."""
        recent = self._recent.take(latency).summary()
        late = bool(self._samples) and at - self._samples[-1].at > self.interval + LATE
        sample = Sample(
            at=round(at, 3),
            read=counts.read,
            published=counts.published,
            confirmed=counts.confirmed,
            received=totals.received,
            saved=totals.saved,
            p50=round(recent.p50, 2) if recent else None,
            p99=round(recent.p99, 2) if recent else None,
            after_gap=late or self._taken_up,
        )
        self._taken_up = False
        if self._samples and at - self._samples[-1].at < FIRST_INTERVAL / 2:
            sample = _merged(self._samples.pop(), sample)
        self._samples.append(sample)
        self._thin_out()

    def _thin_out(self) -> None:
        while len(self._samples) > MAX_SAMPLES:
            kept = self._samples[:1]  # the beginning
            rest = self._samples[1:]
            kept += [_merged(*pair) for pair in zip(rest[::2], rest[1::2], strict=False)]
            self._samples = kept + (rest[-1:] if len(rest) % 2 else [])
            self.interval *= 2


def _merged(earlier: Sample, later: Sample) -> Sample:
    """Returns the later sample with the worse of both latencies, and after a gap if one of them is: neither may vanish."""
    return later._replace(
        p50=_worse(earlier.p50, later.p50),
        p99=_worse(earlier.p99, later.p99),
        after_gap=earlier.after_gap or later.after_gap,
    )


def _worse(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return max(known, default=None)
