"""Shares: so many of a thing may be in use at once, and so many of them by one client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from aiohttp import web

from promise_pub.errors import ServerBusy
from promise_pub.http.intake.connections import client_key
from promise_pub.http.intake.limits import Limits
from promise_pub.http.keys import PRINCIPAL, name_of_principal

STREAMS_EACH = 20  # streams of events of one user, or of one client: a browser has six, a script one for each run


class Share:
    """A thing of which `most` may be in use at once, and `each` of them by one holder."""

    def __init__(self, most: int, each: int, name: str) -> None:
        self._most = most
        self._each = each
        self._name = name
        self._held = Counter[str | None]()

    @property
    def in_use(self) -> int:
        return self._held.total()

    @contextmanager
    def hold(self, request: web.Request) -> Iterator[None]:
        """Holds one for the request as long as the block lasts. Raises ServerBusy.

        Its holder is the user or token, else the network of the client; this machine's clients hold without a share. An
        operator who has logged in may hold one though others hold all.
        """
        holder = name_of_principal(request) or client_key(request)
        if holder is not None and self._held[holder] >= self._each:
            raise ServerBusy(f"You have {self._each} {self._name} already. Close some, then try again.")
        principal = request.get(PRINCIPAL)
        if self.in_use >= self._most and not (principal and principal.may_operate):
            raise ServerBusy(f"There are {self._most} {self._name} already. Try again.")
        self._held[holder] += 1
        try:
            yield
        finally:
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]

    @classmethod
    def of_streams(cls, limits: Limits) -> Self:
        """Returns the share of streams of events: on a quarter of all connections."""
        return cls(max(1, limits.connections // 4), STREAMS_EACH, "streams")

    @classmethod
    def of_bodies(cls, limits: Limits) -> Self:
        """Returns the share of bodies that are awaited: on three quarters of all connections, and a quarter for one."""
        most = limits.connections
        return cls(most - most // 4, max(1, most // 4), "uploads")


STREAMS = web.AppKey("streams", Share)
BODIES = web.AppKey("bodies", Share)
