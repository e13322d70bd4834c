"""Objects of JSON, a line each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from promise_pub.features.events.sources.types.columns import OPTIONS, Columns
from promise_pub.json_text import parse_json
from promise_pub.sources import Found, Given, Lines, NoRecord
from promise_pub.text import storable_json


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
        self.identity = self._columns.identity

    def event(self, record: re.Match[bytes], given: Given) -> Found:
        try:
            value = parse_json(given.text(record[0]))
            if rb"\u" in record[0]:
                # What the file has escaped may be nothing that can be stored.
                value = parse_json(storable_json(json.dumps(value, ensure_ascii=False)))
        except ValueError as error:
            raise NoRecord(f"it is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise NoRecord("it is no JSON object")
        return self._columns.event(value, given)
