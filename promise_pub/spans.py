"""Points in time as people write them: a time, or a span before now. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from promise_pub.errors import BadParameter

# Five digits, which in weeks are 1,900 years: no date is before the first year.
_SPAN = re.compile(r"([0-9]{1,5})(min|m|h|d|w)")
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}

# A pattern of accepted times, of which every match is valid: neither all of ISO 8601, nor the last days of months.
_DAY = "20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])?"
DAY_PATTERN = f"^{_DAY}$"
SINCE_PATTERN = f"^([0-9]{{1,5}}(min|m|h|d|w)|{_DAY}(T{_TIME})?)?$"


def parse_since(text: str, now: datetime, name: str = "since", zone: tzinfo = UTC) -> datetime | None:
    """Parses a time, in this zone where it has none, or returns None for an empty text. Raises BadParameter."""
    if not text:
        return None
    try:
        if match := _SPAN.fullmatch(text):
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadParameter(
            f"{name} must be a span such as 30m, 24h or 7d, or a time such as 2026-11-24 or "
            f"2026-11-24T12:00+01:00, not {text[:50]!r}."
        ) from None
