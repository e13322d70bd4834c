"""Columns of tables, or members of objects, taken for the properties of an event as people say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from promise_pub.json_text import dump_json
from promise_pub.sources import Found, Given, Identity, NoRecord

PROPERTIES = ("at", "until", "text", "url", "kind", "host", "user", "id")
OPTIONS = {
    "map": "which column is what, as at=date,text=message: " + ", ".join(PROPERTIES),
    "time_format": "the format of times, as strptime has it; else ISO 8601, or a number since 1970",
}

_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
_SINCE, _BEFORE = 10**8, 10**10
"""Seconds since 1970 of times that may stand as a bare number: from 1973 to 2286, so that its size tells its unit, and a day
such as 20261120 is none."""
_TRIED = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


class Columns:
    """Properties of events and the columns that they are taken from: those of their own names, unless the option `map` says
    another. A column is an `id` only where it says so. Raises ValueError, with a complaint for people, for options that cannot be
    followed."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._column = {name: name for name in PROPERTIES if name != "id"}
        self._time_format = options.get("time_format")
        if self._time_format:
            _require_day(self._time_format)
        named = set[str]()
        for pair in filter(None, (part.strip() for part in options.get("map", "").split(","))):
            name, _, column = (part.strip() for part in pair.partition("="))
            if name not in PROPERTIES or not column:
                raise ValueError(f"map must name columns as in at=date,text=message, not {pair!r}")
            if name in named:
                raise ValueError(f"map must name {name} once")
            named.add(name)
            self._column[name] = column

    @property
    def identity(self) -> Identity:
        """The identity of the records: an id makes those that have it one event."""
        return Identity.ONE if "id" in self._column else Identity.NUMBERED

    def event(self, values: Mapping[str, Any], given: Given) -> Found:
        """Returns the event of a record. What is none of its properties is its data."""
        column = self._column
        told = {name: values.get(column[name]) if name in column else None for name in PROPERTIES}
        if told["at"] in (None, ""):
            raise NoRecord(f"it has no {column['at']}")
        rest = {name: value for name, value in values.items() if name not in column.values()}
        at, until = self._moment(told["at"], given), told["until"]
        texts = {name: _text(told[name]) for name in ("text", "url", "kind", "host", "user", "id")}
        return Found(
            at=at,
            until=None if until in (None, "") else max(at, self._moment(until, given)),
            text=texts["text"] or "",
            url=texts["url"] or None,
            kind=texts["kind"] or None,
            host=texts["host"] or None,
            user=texts["user"] or None,
            data=rest,
            identity=texts["id"].encode() or None,
        )

    def _moment(self, value: Any, given: Given) -> datetime:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise NoRecord("its time is neither a text nor a number")
        text = str(value).strip()
        if self._time_format:
            try:
                moment = datetime.strptime(text, self._time_format)  # noqa: DTZ007  one without a zone is of the file's
            except ValueError as error:
                raise NoRecord(str(error)) from None
            return given.moment(moment.isoformat())
        if unit := _unit_of(text):
            return given.epoch(text, unit)
        if not isinstance(value, str):
            raise NoRecord("its time is no number since 1970 that lies between 1973 and 2286")
        return given.moment(text)


def _unit_of(text: str) -> int | None:
    """Returns how many of its units a second has, where a text is the number of a time since 1970."""
    try:
        size = float(text)
    except ValueError:
        return None
    return next((unit for unit in _UNITS if _SINCE <= size / unit < _BEFORE), None)


def _require_day(time_format: str) -> None:
    """Raises ValueError for a format that tells no day, year included, or is none."""
    try:
        day = datetime.strptime(_TRIED.strftime(time_format), time_format).date()  # noqa: DTZ007  only its day is looked at
    except (ValueError, re.error) as error:
        raise ValueError(f"time_format cannot be read: {error}") from None
    if day != _TRIED.date():
        raise ValueError(f"time_format must tell the year, the month and the day, unlike {time_format!r}")


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return dump_json(value)
