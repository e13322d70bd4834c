"""Checks of the services that the server needs: one at a time, and the last result of each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import NamedTuple

from aiohttp import web

from promise_pub.concurrency import SharedWork, cancel_tasks
from promise_pub.errors import PromisePubError
from promise_pub.http.keys import Probe

log = logging.getLogger(__name__)

FRESH = 10.0  # seconds for which a result is good enough
PROBE_TIMEOUT = 5.0  # seconds for a service to answer before it counts as down
MAX_WAIT = 2.0  # seconds that `refresh` waits for newer results


class SharedProbes:
    """The probes of services, each made once for all who ask at the same time, however many and whoever they are."""

    def __init__(self, probes: Mapping[str, Probe], within: float) -> None:
        self._probes = probes
        self._within = within
        self._shared = {name: SharedWork(partial(self._probe, name)) for name in probes}
        self.probes: Mapping[str, Probe] = {name: shared.result for name, shared in self._shared.items()}

    async def _probe(self, name: str) -> None:
        async with asyncio.timeout(self._within):
            await self._probes[name]()

    async def closing(self, _: web.Application) -> AsyncIterator[None]:
        """Cancels what is being asked when the application ends; for its `cleanup_ctx`."""
        yield
        for shared in self._shared.values():
            await shared.close()


async def check_service(name: str, probe: Probe, within: float) -> str | None:
    """Returns what is wrong with a service, None if it is available. Never raises; `within` in seconds."""
    try:
        async with asyncio.timeout(within):
            await probe()
    except PromisePubError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {within:g} s"
    except Exception:
        log.exception("The check of the %s failed unexpectedly", name)
        return "The server failed; its log says how."
    return None


class CheckResult(NamedTuple):
    """The result of a check, and when it was made, in seconds since 1970."""

    up: bool
    at: float


class ServiceChecks:
    """Checks each service at most once in FRESH seconds, however many ask."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self._checking: dict[str, asyncio.Task[None]] = {}
        self._started_at: dict[str, float] = {}
        self.results: dict[str, CheckResult] = {}
        """The latest results; a service that was never checked to the end is missing."""

    async def refresh(self) -> None:
        """Repeats stale checks, and waits up to MAX_WAIT seconds; slower results are there for the next call."""
        now = time.monotonic()
        for name, probe in self._probes.items():
            if name not in self._checking and now - self._started_at.get(name, -FRESH) >= FRESH:
                self._started_at[name] = now
                self._checking[name] = asyncio.create_task(self._check(name, probe))
        if checking := {*self._checking.values()}:
            await asyncio.wait(checking, timeout=MAX_WAIT)

    async def _check(self, name: str, probe: Probe) -> None:
        problem = await check_service(name, probe, PROBE_TIMEOUT)
        self.results[name] = CheckResult(problem is None, time.time())
        del self._checking[name]

    async def close(self) -> None:
        """Cancels the checks that are under way."""
        await cancel_tasks(*self._checking.values())
