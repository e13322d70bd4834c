"""Each day of somebody knows the one before it, in whatever order days are condensed, emptied and swept."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from tests.usage.site import Site, noon

_BROKEN = """
    SELECT * FROM (
        SELECT day, actor, before, lag(day) OVER (PARTITION BY action, actor ORDER BY day) AS earlier
        FROM usage_actors
    ) AS days WHERE before IS DISTINCT FROM earlier AND before >= (SELECT min(day) FROM usage_days)
"""


@pytest.mark.parametrize("seed", range(3))
async def test_days_that_are_condensed_in_any_order_know_the_one_before(site: Site, seed: int) -> None:
    random = Random(seed)
    site.set(start=noon(5).date())
    for turn in range(12):
        await site.log_in(*[(random.choice("abcd"), noon(random.randrange(5, 20))) for _ in range(6)])
        match random.choice(["range", "range", "range", "lose", "forget", "sweep"]):
            case "lose":
                await site.pool.execute("DELETE FROM journal_events WHERE at = $1", noon(random.randrange(5, 20)))
            case "forget":
                await site.usage.forget(random.choice("abcd"))
            case "sweep" if turn > 6:
                site.set(keep=random.randrange(9, 14))
        first = noon(random.randrange(5, 20)).date()
        last = min(first + timedelta(days=random.randrange(6)), site.now.date())

        await site.condense(start=str(first), end=str(last))

        assert await site.pool.fetch(_BROKEN) == []
