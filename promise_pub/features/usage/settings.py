"""The section `[usage]` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from promise_pub.settings import casts
from promise_pub.settings.model import option


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSettings:
    """Settings of usage. Days are those of `timezone`, from `start`, or from the first event; they are condensed by
    `schedule`, and once more until they ended `settle` days ago. Names in `exclude` are not counted. Days are kept for `keep`
    days.
    """

    enabled: bool = option(casts.flag, True)
    timezone: ZoneInfo = option(casts.time_zone, ZoneInfo("UTC"))
    schedule: str = option(casts.schedule, "30 1 * * *")
    start: date | None = option(casts.day, None)
    exclude: tuple[str, ...] = option(casts.names, ("admin",))
    settle: int = option(casts.whole(0, 60), 2)
    keep: int = option(casts.whole(1, 36_500), 1100)
