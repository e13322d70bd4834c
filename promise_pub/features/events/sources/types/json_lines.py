"""Objects of JSON, a line each."""

from __future__ import annotations

import re
from collections.abc import Mapping

from promise_pub.features.events.sources.types.columns import OPTIONS, Columns
from promise_pub.json_text import parse_json
from promise_pub.sources import Found, Given, Lines, NoRecord


class JsonLines(Lines):
    """Lines of JSON, each an object."""

    name = "jsonl"
    kind = "log"
    reads = "JSON objects, a line each"
    knows = OPTIONS
    record = re.compile(rb".*", re.DOTALL)

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        super().__init__(options or {})
        self._columns = Columns(options or {})

    def event(self, record: re.Match[bytes], given: Given) -> Found:
        try:
            value = parse_json(given.text(record[0]))
        except ValueError as error:
            raise NoRecord(f"it is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise NoRecord("it is no JSON object")
        return self._columns.event(value, given)
