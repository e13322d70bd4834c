"""Hits that are too old: the steps of the job that deletes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promise_pub.features.visits import old_hits
from promise_pub.features.visits.old_hits import SWEEP_BATCH, sweep_job
from promise_pub.settings import casts
from tests.jobs.fake_work import FakeWork

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class FakeHits:
    """Hits that are too old, as a number."""

    def __init__(self, old: int) -> None:
        self.old = old
        self.before: set[datetime] = set()
        self.forgotten_before: list[datetime] = []

    async def delete_old_hits(self, connection: Any, before: datetime, limit: int) -> int:
        self.before.add(before)
        gone = min(limit, self.old)
        self.old -= gone
        return gone

    async def delete_old_forgotten(self, connection: Any, before: datetime) -> None:
        self.forgotten_before.append(before)


async def test_old_hits_are_deleted_a_batch_a_step() -> None:
    hits, work = FakeHits(2 * SWEEP_BATCH + 1), FakeWork(NOW)
    await sweep_job(hits, 90).run(work)
    assert [told[2] for told in work.told] == [f"Deleted {n} page hits." for n in ("10,000", "20,000", "20,001")]
    assert (hits.old, hits.before) == (0, {NOW - timedelta(days=90)})
    assert hits.forgotten_before == [NOW - old_hits.FORGOTTEN_KEPT]


def test_a_forgotten_session_is_known_for_longer_than_any_server_goes_on_with_it() -> None:
    longest = casts.minutes("10080")
    with pytest.raises(ValueError, match="at most 10080 minutes"):
        casts.minutes("10081")
    assert old_hits.FORGOTTEN_KEPT > timedelta(minutes=longest)
