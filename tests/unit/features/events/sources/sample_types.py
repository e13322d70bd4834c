"""Types of sources that tests read: the smallest of each frame."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from sqlite3 import Row
from typing import Any

from promise_pub.sources import Damaged, Fixed, Found, Given, Ignored, Lines, NoRecord, SqliteQuery, Whole, WrongType


class Plain(Lines):
    """Lines of a number of seconds and a text; those that begin with a blank go on with the record before."""

    name = "plain"
    kind = "log"
    reads = "numbers and texts"
    record = re.compile(rb"(?P<at>\S+) (?P<text>.*)", re.DOTALL)

    def joins(self, line: bytes) -> bool:
        return line.startswith(b" ")

    def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
        return Found(at=given.epoch(record["at"].decode()), text=given.text(record["text"]))


class Headed(Plain):
    """The same with a header, whose word is put before each text."""

    name = "headed"
    header = True
    word = ""

    def read_header(self, line: bytes, given: Given) -> None:
        if not line.startswith(b"#"):
            raise WrongType("It has no header.")
        self.word = given.text(line[1:])

    def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
        return Found(at=given.epoch(record["at"].decode()), text=self.word + given.text(record["text"]))


class Yearless(Lines):
    """Lines of a month, a day and a text."""

    name = "yearless"
    kind = "log"
    reads = "months, days and texts"
    record = re.compile(rb"(?P<month>\d\d)-(?P<day>\d\d) (?P<text>.*)", re.DOTALL)
    month = re.compile(rb"(\d\d|[A-Z][a-z]+)[- ]")

    def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
        return Found(at=given.in_year(int(record["month"]), int(record["day"])), text=given.text(record["text"]))


class Sized(Fixed):
    """Four digits of seconds and four letters each, after which there may be a mark of a larger size."""

    name = "sized"
    kind = "log"
    reads = "eight bytes each"

    def size(self, beginning: bytes) -> int:
        if not beginning[:4].isdigit():
            raise WrongType("It begins with no number.")
        return 8

    def event(self, record: bytes, given: Given) -> Found | Ignored:
        if record == b"0000none":
            return Ignored("nothing")
        if not record.isalnum():
            raise NoRecord("it has other bytes than letters")
        return Found(at=given.epoch(record[:4].decode()), text=given.text(record[4:]))


class Listed(Whole[Any]):
    """A list in JSON, of a number of seconds and a text each; null ends it as damage does."""

    name = "listed"
    kind = "log"
    reads = "a list in JSON"

    def records(self, content: bytes, given: Given) -> Iterator[Any]:
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise WrongType("It is no JSON.") from error
        if not isinstance(found, list):
            raise WrongType("It is no list.")
        for one in found:
            if one is None:
                raise Damaged("It goes on with nothing.")
            yield one

    def event(self, record: Any, given: Given) -> Found | Ignored:
        at, text = record
        return Found(at=given.epoch(at), text=text, identity=json.dumps(record).encode())


class Visits(SqliteQuery):
    """Visits of a browser that there is not."""

    name = "visits"
    kind = "visit"
    reads = "a database of visits"
    query = "SELECT v.id, v.at, u.url FROM visits v LEFT JOIN urls u ON u.id = v.url ORDER BY v.id"
    needs = {"visits": ("id", "at", "url"), "urls": ("id", "url")}

    def event(self, record: Row, given: Given) -> Found | Ignored:
        if record["url"] is None:
            raise NoRecord("it has no url")
        return Found(
            at=given.epoch(record["at"]), text=record["url"], identity=f"{record['url']} {record['at']}".encode()
        )
