"""Windows of time: whole seconds wide, aligned to a Monday in UTC, so that no clock is ever turned in them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from promise_pub.errors import BadParameter
from promise_pub.features.stats.records import WHOLE

ORIGIN = datetime(2000, 1, 3, tzinfo=UTC)
"""The start of a window of every width: a Monday."""
EARLIEST = datetime(3, 1, 1, tzinfo=UTC)
"""The first moment whose windows all start at moments that can be stored."""
MAX_WIDTH = 366 * 24 * 3600  # seconds: no window of today ends beyond what a datetime holds

_ALL_TIME = "all"
_UNITS = {"d": 24 * 3600, "h": 3600, "m": 60, "s": 1}
_WIDTH = re.compile("".join(f"(?:([0-9]{{1,8}}){unit})?" for unit in _UNITS))


def start_of(at: datetime, width: int) -> datetime:
    """Returns the start of the window that a moment lies in, in UTC; that of all time starts at ORIGIN."""
    return start_at(index_of(at, width), width) if width else ORIGIN


def index_of(at: datetime, width: int) -> int:
    """Returns the number of the window that a moment lies in; that which starts at ORIGIN has the number 0.

    The number of a window that is n times as wide is this one // n.
    """
    return (at - ORIGIN) // timedelta(seconds=width)


def start_at(index: int, width: int) -> datetime:
    """Returns the start of the window with this number."""
    return ORIGIN + timedelta(seconds=index * width)


def end_of(start: datetime, width: int) -> datetime | None:
    """Returns the first moment that is no longer in the window that starts here; None for that of all time."""
    return start + timedelta(seconds=width) if width else None


def until_next(now: datetime, width: int) -> timedelta | None:
    """Returns the time until the next window starts, on a boundary the whole width; None where none ever does."""
    return timedelta(seconds=width) - (now - ORIGIN) % timedelta(seconds=width) if width else None


def width_text(width: int) -> str:
    """Returns a width as people write it: 1d1h1m1s; "all" for all time."""
    if width == WHOLE:
        return _ALL_TIME
    text = ""
    for unit, seconds in _UNITS.items():
        count, width = divmod(width, seconds)
        text += f"{count}{unit}" if count else ""
    return text


def parse_width(text: str, name: str = "interval") -> int:
    """Reads a width, in seconds. Raises BadParameter."""
    if text == _ALL_TIME:
        return WHOLE
    if match := _WIDTH.fullmatch(text):
        width = sum(int(count or 0) * seconds for count, seconds in zip(match.groups(), _UNITS.values(), strict=True))
        if 0 < width <= MAX_WIDTH:
            return width
    raise BadParameter(f"{name} must be a width such as 1m, 1h or 1d12h, or {_ALL_TIME}, not {text[:50]!r}.")
