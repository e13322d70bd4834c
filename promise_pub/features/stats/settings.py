"""The section `[stats]` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from promise_pub.settings import casts
from promise_pub.settings.model import option

MAX_DAYS = 36_500
MAX_KEYS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsSettings:
    """Settings of statistics. Unless they are enabled nothing is counted; with `keeper` this server counts.

    Windows of less than an hour are kept for `keep_minutes` days, of less than a day for `keep_hours`, and others for
    `keep_days`; 0: for ever. A window has `most_keys` keys at most.
    """

    enabled: bool = option(casts.flag, True)
    keeper: bool = option(casts.flag, True)
    keep_minutes: int = option(casts.whole(0, MAX_DAYS), 14)
    keep_hours: int = option(casts.whole(0, MAX_DAYS), 400)
    keep_days: int = option(casts.whole(0, MAX_DAYS), 0)
    most_keys: int = option(casts.whole(1, MAX_KEYS), 1000)
