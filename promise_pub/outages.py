"""Outages: told once when they begin and once when they are over, however often is tried meanwhile."""

from __future__ import annotations

import logging

from promise_pub.errors import PromisePubError
from promise_pub.logs import fields
from promise_pub.retries import Backoff

log = logging.getLogger(__name__)

BACKOFF = Backoff(0.5, 30.0)  # seconds: what is away for a night is asked twice a minute


class Outage:
    """The outage of one thing. Of causes that pass by themselves the first is logged, of others each once."""

    def __init__(self, trouble: str, over: str, backoff: Backoff = BACKOFF) -> None:
        self._trouble = trouble
        self._over = over
        self._backoff = backoff
        self._delays = backoff.delays()
        self._logged: set[str] = set()

    def note(self, error: PromisePubError) -> float:
        """Returns the seconds until the next try."""
        cause = "" if error.passes else error.message
        if cause not in self._logged:
            self._logged.add(cause)
            log.warning(self._trouble, extra=fields(why=error.message))
        return next(self._delays, self._backoff.longest)

    def end(self) -> None:
        self._delays = self._backoff.delays()
        if self._logged:
            self._logged.clear()
            log.info(self._over)
