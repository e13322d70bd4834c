"""Alive, and ready: every service by its name, in time, whatever is wrong with it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.errors import BrokerUnreachable
from promise_pub.http.ops import health
from tests.fake_accounts import QUICK, FakeAccounts
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


@pytest.mark.parametrize("host", ["Host: rebound.example\r\n", "Host: 10.0.0.5:8411\r\n", ""])
async def test_to_a_foreign_name_nothing_is_told_but_what_is_ready(tmp_path: Path, host: str) -> None:
    async with site(tmp_path, probes={"broker": away, "database": there}) as house:
        raw = await house.raw(f"GET /readyz HTTP/1.0\r\n{host}\r\n".encode())
        head, _, body = (await raw.rest()).partition(b"\r\n\r\n")
        await raw.close()
    assert head.startswith(b"HTTP/1.0 503 ")
    assert json.loads(body) == {
        "ready": False,
        "broker": {"ready": False},
        "database": {"ready": True},
    }


async def test_a_load_balancers_probe_without_a_host_is_answered(tmp_path: Path) -> None:
    async with site(tmp_path) as house:
        for method, body in (("GET", b'{"alive": true}'), ("HEAD", b"")):
            raw = await house.raw(f"{method} /healthz HTTP/1.0\r\n\r\n".encode())
            answer = await raw.rest()
            assert answer.startswith(b"HTTP/1.0 200 OK\r\n") and answer.endswith(b"\r\n\r\n" + body)
            await raw.close()
        for said, status in {
            b"GET /runs HTTP/1.0\r\n\r\n": b" 421 ",
            b"GET /healthz HTTP/1.1\r\n\r\n": b" 400 ",  # RFC 9112, 3.2
        }.items():
            raw = await house.raw(said)
            assert status in await raw.until(b"\r\n")
            await raw.close()


@pytest.mark.parametrize("host", ["localhost", "rebound.example"])
async def test_where_users_log_in_only_they_learn_what_is_ready(tmp_path: Path, host: str) -> None:
    authenticator = Authenticator(FakeAccounts(), SessionSigner(b"k" * 32, hours=1), Passwords(QUICK), LoginAttempts())
    async with site(tmp_path, authenticator=authenticator, probes={"broker": away}) as house:
        async with house.http.get(house.url / "readyz", headers={"Host": host}) as answer:
            assert answer.status == 401 and "broker" not in await answer.text()
        async with house.http.get(house.url / "healthz", headers={"Host": host}) as answer:
            assert answer.status == 200
