"""Alive, and ready: every service by its name, in time, whatever is wrong with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from promise_pub.errors import BrokerUnreachable
from promise_pub.web import health
from tests.listening import site


async def there() -> None:
    return


async def away() -> None:
    raise BrokerUnreachable("The broker cannot be reached: gone")


async def silent() -> None:
    await asyncio.Event().wait()


async def odd() -> None:
    raise ValueError("why")


@pytest.mark.parametrize(
    ("probe", "trouble"),
    [
        (there, None),
        (away, "The broker cannot be reached: gone"),
        (silent, "no answer within 0.05 s"),
        (odd, "The server failed; its log says how."),
    ],
)
async def test_ready_is_who_has_everything_and_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe: Any, trouble: str | None
) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 0.05)
    probes = {"broker": probe, "database": there, "consumer": there}
    async with site(tmp_path, probes=probes) as house:
        status = 503 if trouble else 200
        async with house.http.get(house.url / "readyz") as answer:
            assert (answer.status, answer.content_type) == (status, "application/json")
            told = await answer.json()
        async with house.http.head(house.url / "readyz") as answer:
            assert (answer.status, await answer.read()) == (status, b"")
    assert told.pop("broker") == {"ready": not trouble, **({"error": trouble} if trouble else {})}
    assert told == {
        "ready": not trouble,
        "database": {"ready": True},
        "consumer": {"ready": True},
    }


async def test_a_server_that_misses_everything_is_alive_all_the_same(tmp_path: Path) -> None:
    probes = dict.fromkeys(("broker", "database", "consumer"), away)
    async with site(tmp_path, probes=probes) as house:
        for method in ("GET", "HEAD"):
            async with house.http.request(method, house.url / "healthz") as answer:
                assert answer.status == 200
