"""The section `[visits]` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from promise_pub.settings import casts
from promise_pub.settings.model import option

MIN_QUOTA, MAX_QUOTA = 10 * 1024**2, 1024**4  # bytes; less would hold hits of an hour


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitsSettings:
    """Settings of the record of visits.

    Hits are kept for `keep` days, and take at most `quota` bytes of the disk. A session ends after `idle` minutes without
    a hit. With `anonymise` only the first 24 bits of an IPv4 address are stored, or 48 of an IPv6 address. `cookie` is the
    name of the cookie.
    """

    enabled: bool = option(casts.flag, True)
    keep: int = option(casts.whole(1, 36_500), 90)
    quota: int = option(casts.size(MIN_QUOTA, MAX_QUOTA), 1024**3)
    anonymise: bool = option(casts.flag, False)
    cookie: str = option(casts.cookie_name, "PROMISE_PUB_ID")
    idle: float = option(casts.minutes, 30.0)
