"""Whether what the server needs is there, asked now and then, whoever wants to know how often."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import NamedTuple

from promise_pub.concurrency import cancel_tasks
from promise_pub.errors import PromisePubError
from promise_pub.http.keys import Probe

log = logging.getLogger(__name__)

KEPT = 10.0  # seconds for which an answer is good enough
PROBE_TIMEOUT = 5.0  # seconds for a service to answer, before it counts as away
WAIT = 2.0  # seconds that whoever asks waits for a newer answer than there is


class Look(NamedTuple):
    """What was seen, and when, in seconds since 1970."""

    up: bool
    at: float


class Probing:
    """Asks each service at most once in ten seconds, and one at a time, however many want to know."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[str, float] = {}
        self.seen: dict[str, Look] = {}
        """The newest answers; a service that has given none yet is not among them."""

    async def refresh(self) -> None:
        """Has those asked whose answers are old, and waits a moment for it; what takes longer is seen later."""
        now = time.monotonic()
        for name, probe in self._probes.items():
            if name not in self._asking and now - self._asked.get(name, -KEPT) >= KEPT:
                self._asked[name] = now
                self._asking[name] = asyncio.create_task(self._ask(name, probe))
        if asking := {*self._asking.values()}:
            await asyncio.wait(asking, timeout=WAIT)

    async def _ask(self, name: str, probe: Probe) -> None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                await probe()
            up = True
        except (PromisePubError, TimeoutError):
            up = False
        except Exception:
            log.exception("Whether the %s is there cannot be told, for a reason nobody foresaw", name)
            up = False
        self.seen[name] = Look(up, time.time())
        del self._asking[name]

    async def close(self) -> None:
        """Gives up what is being asked."""
        await cancel_tasks(*self._asking.values())
