"""Members of events that people and programs give: checked, with words that say what is wrong. Pure.

A check raises ValueError whose message goes on after the member's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from promise_pub.errors import BadParameter
from promise_pub.topics import MAX_BYTES as MAX_TOPIC

MAX_TEXT = 255  # bytes of an id or a subject, as of AMQP's own
AHEAD = timedelta(minutes=5)  # that a clock may be
EPOCH_YEAR = 1970

T = TypeVar("T")

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
_PATTERN = re.compile("[*# ]")


def read_member(name: str, check: Callable[[Any], T], value: Any) -> T:
    """Returns what `check` makes of the value. Raises BadParameter, which names the member."""
    try:
        return check(value)
    except ValueError as error:
        raise BadParameter(f"{name}: {error}.") from None


def read_optional(name: str, check: Callable[[Any], T], value: Any) -> T | None:
    """Returns None for None, else what `read_member` does."""
    return None if value is None else read_member(name, check, value)


def check_topic(value: object) -> str:
    """Returns a topic that events may be given: words with dots between them."""
    text = _check_string(value, MAX_TOPIC)
    if not all(text.split(".")) or not text.isprintable() or _PATTERN.search(text):
        raise ValueError(f"must be words with dots between them, without blanks, * and #, not {text[:50]!r}")
    return text


def check_text(value: object) -> str:
    """Returns an id or a subject: a line."""
    text = _check_string(value, MAX_TEXT)
    if not text.isprintable() or not text.strip():
        raise ValueError(f"must be a text without control characters, not {text[:50]!r}")
    return text


def _check_string(value: object, most: int) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {str(value)[:50]}")
    if not 1 <= len(value.encode("utf-8", "surrogatepass")) <= most:
        raise ValueError(f"must have 1 to {most} bytes")
    return value


def check_time(value: object, now: datetime) -> datetime:
    """Returns the time of an RFC 3339 text that events may be given."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError(f"must be a time such as 2026-11-24T12:00:00Z, not {str(value)[:50]!r}")
    try:
        at = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"must be a time such as 2026-11-24T12:00:00Z, not {value[:50]!r}") from None
    return check_moment(at, now)


def check_moment(at: datetime, now: datetime) -> datetime:
    """Returns a moment that events may be given: since 1970, and not in the future but for what clocks differ by."""
    if at.year < EPOCH_YEAR:
        raise ValueError(f"must not be before {EPOCH_YEAR}")
    if at > now + AHEAD:
        raise ValueError(f"must not be more than {AHEAD.seconds // 60} minutes in the future")
    return at
