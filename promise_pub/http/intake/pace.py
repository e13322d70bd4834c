"""The pace of requests: who only looks waits for a turn before others have to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from promise_pub.addresses import network_of
from promise_pub.errors import ServerBusy
from promise_pub.http.intake.client_address import client_of
from promise_pub.http.intake.connections import client_key
from promise_pub.http.keys import AUTHENTICATOR, name_of_principal

RATE = 8.0  # requests a second of one viewer, or of all strangers of one network; a page takes some milliseconds
BURST = 32  # requests that come at once and need not wait
LONGEST = 5.0  # seconds to wait for a turn
MAX_KEPT = 10_000  # who asked lately: a MB


class Pace:
    """Lets each one through at RATE requests a second, after a burst, in the order in which they came."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._next: dict[str, float] = {}  # when the next request of each has its turn, if none comes before

    async def take_turn(self, request: web.Request) -> None:
        """Waits for the sender's turn. Raises ServerBusy where that would take too long, and not at once.

        Who was refused at once would ask again at once, and refusals cost as much as small answers.
        Its sender is the user or token, else the network of the client. Where nobody logs in this machine's clients have
        no turns: all of them have one address.
        """
        name = name_of_principal(request) or _network(request)
        if not name:
            return
        try:
            wait = self.reserve(name)
        except ServerBusy:
            await asyncio.sleep(LONGEST)
            raise
        if wait > 0:
            await asyncio.sleep(wait)

    def reserve(self, name: str) -> float:
        """Returns the seconds until the turn of a request of this sender. Raises ServerBusy."""
        now = self._clock()
        turn = max(self._next.get(name, 0.0), now - (BURST - 1) / RATE)
        if turn - now > LONGEST:
            raise ServerBusy(f"You ask more often than {RATE:g} times a second.")
        if name not in self._next and len(self._next) >= MAX_KEPT:
            self._forget(now)
        self._next.pop(name, None)  # who asked longest ago comes first
        self._next[name] = turn + 1 / RATE
        return max(0.0, turn - now)

    def _forget(self, now: float) -> None:
        """Forgets those whose burst is whole again, else the one whose request is longest ago."""
        self._next = {name: turn for name, turn in self._next.items() if turn > now - BURST / RATE}
        if len(self._next) >= MAX_KEPT:
            del self._next[next(iter(self._next))]


def _network(request: web.Request) -> str | None:
    if AUTHENTICATOR not in request.app:
        return client_key(request)
    client = client_of(request)
    return network_of(client.address) if client else None


PACE = web.AppKey("pace", Pace)
