"""Statistics about how long runs take.

Only those that completed count: a run that ends otherwise may be resumed, and its time goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from promise_pub.statistics import Event, Measuring

_LEAST = 0.001  # seconds, to which an event rounds; a run that waited for nothing counts, too


class RunSeconds(Measuring):
    """The time that runs took that completed, by mode."""

    name, columns, unit = "run-seconds", ("mode",), "s"
    topics, own, intervals = ("#.run.ended",), True, (timedelta(days=1),)

    def measure(self, event: Event) -> Iterator[tuple[str, float]]:
        if event.data["state"] == "completed":
            yield event.data["mode"], max(event.data["seconds"]["total"], _LEAST)


class QueueSeconds(Measuring):
    """The time that runs waited that completed, by mode."""

    name, columns, unit = "queue-seconds", ("mode",), "s"
    topics, own, intervals = ("#.run.ended",), True, (timedelta(days=1),)

    def measure(self, event: Event) -> Iterator[tuple[str, float]]:
        if event.data["state"] == "completed":
            yield event.data["mode"], max(event.data["seconds"]["queued"], _LEAST)
