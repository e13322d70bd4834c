"""The processor time that one more statistic costs, an event."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from benchmarks.journal.events import BODY_BYTES, TOPICS
from promise_pub.features.stats.builtin.events import VolumeByTopic
from promise_pub.features.stats.definitions import define
from promise_pub.features.stats.fold import fold
from promise_pub.features.stats.given import Batch
from promise_pub.features.stats.records import Registered
from promise_pub.statistics import Event

BATCH, ROUNDS = 1000, 50  # events; of these the fastest counts, which others on the machine have disturbed least


def microseconds_an_event() -> float:
    """Returns the time to fold an event into one statistic by the minute, the hour and the day: that of the best round."""
    definition = define(VolumeByTopic, ours=True)
    registered = Registered(id=1, layout=definition.layout, counted_from=1, position=0)
    events = _events()
    best = min(_seconds(lambda: fold(definition, registered, events, {})) for _ in range(ROUNDS))
    return best / BATCH * 1e6


def _events() -> Batch:
    """Events of one batch: they come within a minute or two."""
    now = datetime.now(UTC)
    return Batch(
        Event(
            seq=number,
            at=now + timedelta(milliseconds=100 * number),
            received_at=now,
            source="bus",
            topic=f"bench.topic{number % TOPICS}",
            category=f"topic{number % TOPICS}",
            sender="bench",
            subject=None,
            headers={},
            body=b"x" * BODY_BYTES,
        )
        for number in range(1, BATCH + 1)
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
