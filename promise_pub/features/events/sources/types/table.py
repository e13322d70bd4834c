"""Tables with a header, as CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping

from promise_pub.features.events.sources.types.columns import OPTIONS, Columns
from promise_pub.sources import MAX_RECORD, Found, Given, Lines, NoRecord, WrongType


class Table(Lines):
    """Rows of CSV, as RFC 4180 has it. The first one names the columns."""

    name = "csv"
    kind = "log"
    reads = "CSV with a header"
    knows = {**OPTIONS, "delimiter": "the character between fields; a comma by default, tab for tabs"}
    record = re.compile(rb".*", re.DOTALL)
    header = True

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        options = options or {}
        super().__init__(options)
        self._columns = Columns(options)
        self.identity = self._columns.identity
        delimiter = options.get("delimiter", ",")
        self._delimiter = "\t" if delimiter == "tab" else delimiter
        if len(self._delimiter) != 1 or self._delimiter in '"\r\n\0':
            raise ValueError(f"delimiter must be one character, or tab, not {delimiter!r}")
        self._names: list[str] = []
        self._within = 0

    def joins(self, line: bytes) -> bool:
        # Bytes of a record whose quotes are open. One that nobody closes costs a record, not the file.
        within, open_before = self._within, self._within > 0
        if within > MAX_RECORD:
            self._within, open_before, within = 0, False, 0
        closes = line.count(b'"') % 2 == 1
        self._within = within + len(line) + 1 if open_before != closes else 0
        return open_before

    def read_header(self, line: bytes, given: Given) -> None:
        try:
            names = self._fields(given.text(line))
        except NoRecord as error:
            raise WrongType(f"Its first row cannot be read: {error}.") from None
        if len({*names}) != len(names) or not all(names):
            raise WrongType("Its first row does not name every column, each once.")
        self._names = names

    def event(self, record: re.Match[bytes], given: Given) -> Found:
        fields = self._fields(given.text(record[0]))
        if len(fields) != len(self._names):
            raise NoRecord(f"it has {len(fields)} fields, not {len(self._names)}")
        return self._columns.event(dict(zip(self._names, fields, strict=True)), given)

    def _fields(self, text: str) -> list[str]:
        try:
            return next(csv.reader([text], delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            raise NoRecord(str(error)) from None
