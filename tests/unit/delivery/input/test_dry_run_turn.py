"""A dry run waits for no turn: neither for the run that goes, nor for those that wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tests.web_house import CSV, Client, opened


async def test_a_full_queue_is_no_reason_to_wait(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    async with opened(tmp_path, aiohttp_client) as house, house.consumer.holding("create"):
        statuses = [(await house.simulate(Prefer="respond-async")).status for _ in range(4)]
        assert statuses == [202, 202, 202, 503]
        answer = await house.client.post("/simulate/?dry_run=true", data=b"a,b\n", headers=CSV)
        assert (answer.status, (await answer.json())["rows"]["accepted"]) == (200, 1)
        assert len(house.ledger.runs) == 3
