"""Sessions written as walks, and the steps they make: what the database counts, counted once more in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from textwrap import dedent
from typing import NamedTuple

from promise_pub.features.visits.chains import EXIT, Chains, Step, build_chains

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
IDLE = timedelta(minutes=30)

ONE = "Transitions for session 00000000-0000-0000-0000-000000000001:"
ALL = "Transitions for all sessions:"


class Hit(NamedTuple):
    session: str
    at: datetime
    order: int
    """Tells hits of one moment apart."""
    page: str


def steps_of(hits: Iterable[Hit], now: datetime, idle: timedelta) -> list[Step]:
    """What became of every hit, each kind once, in no particular order.

    A session is in the order of (at, order); it has ended when its last hit is `idle` or longer ago.
    """
    counted = Counter[tuple[str, bool, str | None, bool]]()
    ordered = sorted(hits, key=attrgetter("session", "at", "order"))
    for _, session in groupby(ordered, key=attrgetter("session")):
        its = list(session)
        for place, hit in enumerate(its):
            last = place == len(its) - 1
            after = None if last else its[place + 1].page
            counted[hit.page, place == 0, after, last and now - hit.at >= idle] += 1
    return [Step(*kind, count) for kind, count in counted.items()]


def hits_of(walks: Iterable[Sequence[str]]) -> list[Hit]:
    """A session for each walk, its pages a second apart. One that has EXIT at its end ended an hour before NOW."""
    hits = []
    for number, walk in enumerate(walks):
        ended = walk[-1] == EXIT
        began = NOW - (timedelta(hours=2) if ended else timedelta(minutes=1))
        for order, page in enumerate(walk[:-1] if ended else walk):
            hits.append(Hit(f"session {number}", began + timedelta(seconds=order), order, page))
    return hits


def walked(*walks: str) -> Chains:
    """The chains of walks such as "/ /runs exit" (it ended) and "/ /runs" (it still goes)."""
    return build_chains(steps_of(hits_of(walk.split() for walk in walks), NOW, IDLE))


def text(block: str) -> str:
    """A drawing out of the test that has it, without the test's margin."""
    return dedent(block).removeprefix("\n")
