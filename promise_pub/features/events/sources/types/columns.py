"""Columns of tables, or members of objects, taken for the properties of an event as people say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from promise_pub.json_text import dump_json
from promise_pub.sources import Found, Given, NoRecord

PROPERTIES = ("at", "until", "text", "url", "kind", "host", "user", "id")
OPTIONS = {
    "map": "which column is what, as at=date,text=message: " + ", ".join(PROPERTIES),
    "time_format": "the format of times, as strptime has it; else ISO 8601, or a number since 1970",
}

# A number since 1970 is of seconds below the first, which they reach in the year 5138, of milliseconds below the second …
_UNITS = ((10**11, 1), (10**14, 1_000), (10**17, 1_000_000))


class Columns:
    """Properties of events and the columns that they are taken from: those of their own names, unless the option `map` says
    another. Raises ValueError for one that names no property, or one twice."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._column = {name: name for name in PROPERTIES}
        self._time_format = options.get("time_format")
        named = set[str]()
        for pair in filter(None, (part.strip() for part in options.get("map", "").split(","))):
            name, _, column = (part.strip() for part in pair.partition("="))
            if name not in PROPERTIES or not column:
                raise ValueError(f"map must name columns as in at=date,text=message, not {pair!r}")
            if name in named:
                raise ValueError(f"map must name {name} once")
            named.add(name)
            self._column[name] = column

    def event(self, values: Mapping[str, Any], given: Given) -> Found:
        """Returns the event of a record. What is none of its properties is its data."""
        column = self._column
        told = {name: values.get(column[name]) for name in PROPERTIES}
        if told["at"] in (None, ""):
            raise NoRecord(f"it has no {column['at']}")
        rest = {name: value for name, value in values.items() if name not in column.values()}
        at, until = self._moment(told["at"], given), told["until"]
        texts = {name: _text(told[name]) for name in ("text", "url", "kind", "host", "user", "id")}
        id = texts["id"]
        return Found(
            at=at,
            until=None if until in (None, "") else max(at, self._moment(until, given)),
            text=texts["text"] or "",
            url=texts["url"] or None,
            kind=texts["kind"] or None,
            host=texts["host"] or None,
            user=texts["user"] or None,
            data=rest,
            identity=id.encode(errors="surrogatepass") if id else None,
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
        try:
            size = abs(float(text))
        except ValueError:
            return given.moment(text)
        return given.epoch(text, next((unit for limit, unit in _UNITS if size < limit), 1_000_000_000))


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return dump_json(value)
