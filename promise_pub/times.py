"""Moments as text, and read from it."""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, UTC, datetime


def rfc3339(moment: datetime, timespec: str = "milliseconds") -> str:
    """Returns an aware moment in UTC, as in 2026-11-24T12:00:00.000Z."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec=timespec)[: -len('+00:00')]}Z"


def parse_moment(text: str) -> datetime:
    """Reads a moment of ISO 8601 in UTC, the default zone. Raises ValueError, also for the first and the last year: their
    limits are stored as infinity."""
    at = datetime.fromisoformat(text)
    at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    if not MINYEAR < at.year < MAXYEAR:
        raise ValueError
    return at
