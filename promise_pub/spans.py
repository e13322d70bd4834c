"""From when on: a time, or a span before now, as people write it. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from promise_pub.errors import BadParameter

_SPAN = re.compile(r"([0-9]{1,5})(min|m|h|d|w)")  # up to 1,900 years: no time before the first
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str, now: datetime, name: str = "since") -> datetime | None:
    """None for nothing. A time without a zone is in UTC. Raises BadParameter that says what is taken."""
    if not text:
        return None
    try:
        return _before(now, text) or _at(text)
    except (ValueError, OverflowError):
        raise BadParameter(
            f"{name} must be a span such as 30m, 24h or 7d, or a time such as 2026-11-24 or "
            f"2026-11-24T12:00+01:00, not {text[:50]!r}."
        ) from None


def _before(now: datetime, text: str) -> datetime | None:
    match = _SPAN.fullmatch(text)
    return now - timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


def _at(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
