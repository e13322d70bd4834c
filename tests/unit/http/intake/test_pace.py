"""The pace of requests: who only looks waits for a turn, who works does not, and what is remembered of them has a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.errors import ServerBusy
from promise_pub.http.intake import pace
from promise_pub.http.intake.pace import BURST, LONGEST, RATE, Pace
from promise_pub.http.security import Exposure
from promise_pub.settings.casts import networks
from promise_pub.web.server import Services, make_app
from tests.fake_accounts import QUICK, FakeAccounts
from tests.web_house import Client, House

REQUEST = make_mocked_request("GET", "/")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_a_burst_each_has_so_many_turns_a_second() -> None:
    clock = Clock()
    turns = Pace(clock)
    assert [turns.reserve("ann") for _ in range(BURST)] == [0.0] * BURST
    waits = [turns.reserve("ann") for _ in range(20)]
    assert waits == pytest.approx([number / RATE for number in range(1, 21)])
    assert turns.reserve("ben") == 0.0, "others have their own"
    clock.now += 10
    assert turns.reserve("ann") == 0.0


def test_who_would_wait_too_long_is_refused_and_loses_nothing_by_it() -> None:
    clock = Clock()
    turns = Pace(clock)
    for _ in range(BURST + int(LONGEST * RATE)):
        turns.reserve("ann")
    for _ in range(1000):
        with pytest.raises(ServerBusy):
            turns.reserve("ann")
    clock.now += 1 / RATE + 0.001
    assert turns.reserve("ann") == pytest.approx(LONGEST, abs=0.01)


def test_the_senders_that_are_remembered_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MAX_KEPT", 100)
    clock = Clock()
    turns = Pace(clock)
    for number in range(1000):
        turns.reserve(f"2001:db8:{number}::/64")
    assert len(turns._next) <= 100
    clock.now += BURST / RATE + 1
    turns.reserve("new")
    assert len(turns._next) == 1


@pytest.fixture
async def asks(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[Client]], monkeypatch: pytest.MonkeyPatch
) -> Asks:
    """A site where users log in, on which nobody waits: a burst is five, and beyond it one is refused."""
    monkeypatch.setattr(pace, "BURST", 5)
    monkeypatch.setattr(pace, "LONGEST", -0.001)
    monkeypatch.setattr(pace, "RATE", 2**-7)
    house, accounts = House(tmp_path), FakeAccounts()
    signer = SessionSigner(b"k" * 32, hours=12)
    authenticator = Authenticator(accounts, signer, Passwords(QUICK), LoginAttempts())
    tokens = {role: (await accounts.add_token(role.value, role, 1))[0] for role in Role}
    exposure = Exposure(trusted_proxies=networks("127.0.0.0/8"))
    services = Services(
        runs=house.runs,
        ledger=house.ledger,  # type: ignore[arg-type]
        probes={},
        exposure=exposure,
        authenticator=authenticator,
    )
    return Asks(await aiohttp_client(make_app(services)), tokens)


class Asks:
    def __init__(self, client: Client, tokens: dict[Role, str]) -> None:
        self._client = client
        self._tokens = tokens

    async def __call__(
        self, path: str, role: Role | None = None, address: str = "203.0.113.1", times: int = 7
    ) -> list[int]:
        """The statuses of so many answers, one after the other."""
        headers = {"X-Forwarded-For": address, "Accept": "application/json"}
        if role:
            headers["Authorization"] = f"Bearer {self._tokens[role]}"
        return [(await self._client.get(path, headers=headers, allow_redirects=False)).status for _ in range(times)]


async def test_a_viewer_is_paced_by_name_from_wherever(asks: Asks) -> None:
    assert await asks("/runs", Role.VIEWER, times=5) == [200] * 5
    assert await asks("/runs", Role.VIEWER, "203.0.113.2") == [503] * 7


async def test_strangers_are_paced_by_their_network(asks: Asks) -> None:
    assert await asks("/login", address="2001:db8::1", times=3) == [200] * 3
    assert await asks("/runs", address="2001:db8::2", times=2) == [401] * 2
    for path in ("/login", "/runs", "/nowhere"):
        assert await asks(path, address="2001:db8::3") == [503] * 7
    assert await asks("/runs", address="2001:db8:0:1::1", times=1) == [401]
    assert await asks("/runs", Role.OPERATOR, "2001:db8::4") == [200] * 7, "who is known is not counted with them"


@pytest.mark.parametrize(("path", "role"), [("/runs", Role.OPERATOR), ("/healthz", None), ("/static/style.css", None)])
async def test_who_works_does_not_wait(asks: Asks, path: str, role: Role | None) -> None:
    assert await asks(path, role, times=20) == [200] * 20


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of each wait for a turn, which takes none; every request is of one sender."""
    seconds = list[float]()

    async def sleep(duration: float) -> None:
        seconds.append(duration)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(pace, "name_of_principal", lambda _: "ann")
    return seconds


async def test_a_turn_is_waited_for(waited: list[float]) -> None:
    turns = Pace(Clock())
    for _ in range(BURST + 2):
        await turns.take_turn(REQUEST)
    assert waited == pytest.approx([1 / RATE, 2 / RATE])


async def test_who_is_refused_is_not_refused_at_once(waited: list[float]) -> None:
    """Else a thousand requests that stand in line on one connection would be answered as fast as they can be."""
    turns = Pace(Clock())
    for _ in range(BURST + int(LONGEST * RATE)):
        await turns.take_turn(REQUEST)
    del waited[:]
    with pytest.raises(ServerBusy):
        await turns.take_turn(REQUEST)
    assert waited == [LONGEST]
