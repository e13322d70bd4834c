"""Trying again what failed: how often, and for how long."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from promise_pub.errors import PromisePubError

log = logging.getLogger(__name__)

T = TypeVar("T")

LOG_EVERY = 10.0  # seconds between lines in the log about one trouble

Report = Callable[[PromisePubError, float], None]
"""Called before each wait, with the error and the seconds left until it is raised."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between tries: `first`, then twice as long each time up to `longest`, until `within` have passed."""

    first: float
    longest: float
    within: float = math.inf
    jitter: float = 0.5
    """Share of a delay by which it may be shorter, so that many who wait for one thing do not come back at once."""

    def delays(self) -> Iterator[float]:
        """Yields the delays before each further try; they end once their sum has reached `within`."""
        delay, total = self.first, 0.0
        while total < self.within:
            jittered = delay * random.uniform(1 - self.jitter, 1.0)
            yield jittered
            total += jittered
            delay = min(2 * delay, self.longest)


class Retries:
    """Waits between the tries of one thing, until it has failed for as long as its backoff allows.

    A try that seems to work does not count as progress: a broker may accept each connection and refuse each row, and
    would be asked for ever. So the caller says how much has been done so far, and the time begins anew only when that
    has grown. An error that cannot pass by itself (see `PromisePubError.passes`) ends the tries at once.

    Troubles go to `report`; without one, to the log.
    """

    def __init__(self, backoff: Backoff, report: Report | None = None) -> None:
        self._backoff = backoff
        self._report = report or self._log
        self._failing_since: float | None = None
        self._delays = backoff.delays()
        self._done = 0
        self._logged_at = -math.inf
        self._log_has_trouble = False

    @property
    def failing(self) -> bool:
        """True between the first failure and the next `reset`."""
        return self._failing_since is not None

    async def wait(self, error: PromisePubError, done: int = 0) -> None:
        """Sleeps before the next try. Raises `error` when it cannot pass, or the time is over."""
        raise_if_cancelled()
        now = asyncio.get_running_loop().time()
        if done > self._done:
            self.reset()
        self._done = max(self._done, done)
        if self._failing_since is None:
            self._failing_since = now
        left = self._failing_since + self._backoff.within - now
        if not error.passes or left <= 0:
            raise error
        self._report(error, left)
        await asyncio.sleep(next(self._delays, self._backoff.longest))

    def reset(self) -> None:
        """Begins anew: the next failure is the first."""
        self._failing_since = None
        self._delays = self._backoff.delays()

    def log_success(self, news: str) -> None:
        """Logs that a try worked, if the log has the trouble. It is no progress yet."""
        if self._log_has_trouble:
            self._log_has_trouble = False
            log.info("%s", news)

    def _log(self, error: PromisePubError, _: float) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= LOG_EVERY:
            self._logged_at, self._log_has_trouble = now, True
            log.warning("%s. Trying again.", error.message.rstrip("."))


async def retry(step: Callable[[], Awaitable[T]], backoff: Backoff, error: type[PromisePubError]) -> T:
    """Returns the result of the first try that does not raise `error`; raises that of the last one."""
    retries = Retries(backoff)
    while True:
        try:
            return await step()
        except error as caught:
            await retries.wait(caught)


def raise_if_cancelled() -> None:
    """Raises CancelledError in a task that was cancelled.

    Python 3.11's wait_for, which aiormq uses, loses a cancellation that comes as it ends. A loop that tries again would
    then go on for ever, and its canceller wait as long.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError
