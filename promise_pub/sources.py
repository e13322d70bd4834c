"""The public protocol of types of sources: the frames that a type inherits from, the values that it is given and gives.

A type is a class that makes events of the records of a file. It is pure: it opens nothing, knows no database and no clock.
A frame that it inherits from finds the records: `Lines` of a text, records of one size (`Fixed`), records of a file that is
read as a `Whole`, or the rows of a `SqliteQuery`. Types are found as entry points of the group `promise_pub.sources`, by
their names.

An instance is made for each file that is read, and given its records in their order.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, auto
from sqlite3 import Row
from types import MappingProxyType
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

R = TypeVar("R")

MAX_RECORD = 1024**2
"""Bytes of a record of a text. A longer one is rejected, and read past."""
MAX_WHOLE = 64 * 1024**2
"""Bytes, unpacked, of a file that is read as a whole."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Identity(StrEnum):
    """The rule by which records are the same event, in one source.

    NUMBERED: equal records of one file are as many events, and records that another file has as well are not new.
    ONE: equal records are one event, wherever they stand.
    """

    NUMBERED = auto()
    ONE = auto()


class Renewal(StrEnum):
    """The part of an event that is there already which its record renews: none; its text, url, tags and data; or all, its times
    too."""

    NOTHING = auto()
    TEXT = auto()
    ALL = auto()


@dataclass(frozen=True, slots=True)
class Found:
    """An event, as a record tells it.

    `at` and `until` are aware. `text` is one line for people. `kind`, `host` and `user` are the record's own, where they are
    not the source's. `data` is all else, in JSON's types, by the names of the format. `identity` is what says which record
    it is, before any interpretation; without one, all bytes of the record do.
    """

    at: datetime
    text: str
    url: str | None = None
    until: datetime | None = None
    kind: str | None = None
    host: str | None = None
    user: str | None = None
    tags: Sequence[str] = ()
    data: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    identity: bytes | None = None


class Ignored(NamedTuple):
    """A record that is none of the type's events, and is not missed: a comment, a folder."""

    why: str = ""


class NoRecord(Exception):
    """A record that the type cannot read. Its reason is told, with the record's text; the others are read."""


class WrongType(Exception):
    """A file that is not of the type. Its reason is told, and nothing of it is taken."""


class Damaged(Exception):
    """A file of the type that cannot be read to its end. Its reason is told; records up to there are taken."""


class Given(Protocol):
    """The file beside its record, as far as a type may know it: it reads text and times."""

    user: str | None
    """The user that the source is about, where it says so."""
    modified: datetime
    """The moment at which the file was changed last, in the zone of its times."""

    def text(self, raw: bytes | None) -> str:
        """Reads text in the file's encoding; None is empty. What cannot be read, or not be stored, is replaced and counted."""

    def at(self, naive: datetime) -> datetime:
        """Returns a time without a zone in the file's zone: in the second pass of an hour that comes twice, where times
        have just stepped back; an hour later, where clocks were put forward. Raises NoRecord for one that is not after 1970
        and before the year 10,000, as all of these do."""

    def in_year(
        self, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0
    ) -> datetime:
        """Returns a time without a year and a zone: the year goes on from record to record, and ends before the file was
        changed last. It needs the type's `month`. Raises NoRecord for a day that is not in that year."""

    def epoch(self, number: int | str, unit: int = 1) -> datetime:
        """Returns a time since 1970 in UTC. `unit` are those in a second: 1, 1,000, 1,000,000 or 1,000,000,000; a text may
        have a fraction. Raises NoRecord for what is no time after 1970 and before the year 10,000."""

    def moment(self, text: str) -> datetime:
        """Reads a time of ISO 8601, with a zone or, as `at` does, without. Raises NoRecord."""


class SourceType(ABC, Generic[R]):
    """A type of sources. `options` are those of the source that the type names in `knows`."""

    name: ClassVar[str]
    aliases: ClassVar[Sequence[str]] = ()
    kind: ClassVar[str]
    reads: ClassVar[str]
    """The files that it reads, for people, in a few words."""
    knows: ClassVar[Mapping[str, str]] = {}
    """The options it knows beside those of all types, with what each is for."""
    identity: Identity = Identity.NUMBERED
    renewal: ClassVar[Renewal] = Renewal.NOTHING

    def __init__(self, options: Mapping[str, str] = _NOTHING) -> None:
        """Raises ValueError, with a complaint for people, for options that it cannot do with."""

    @abstractmethod
    def event(self, record: R, given: Given) -> Found | Ignored:
        """Returns the event that a record is. Raises NoRecord where it cannot be read."""


class Lines(SourceType[re.Match[bytes]]):
    """A type whose records are lines of a text, or some lines each.

    A record matches `record` as a whole, without its line end. One that is blank is ignored.
    """

    record: ClassVar[re.Pattern[bytes]]
    month: ClassVar[re.Pattern[bytes] | None] = None
    """For times without a year: what the month is found with at the beginning of a record, its first group in English or a
    number."""
    header: ClassVar[bool] = False
    """True where each file begins with a line that says how to read the others."""

    ends: bytes = b"\n"
    """The bytes at the end of a line."""

    def joins(self, line: bytes) -> bool:
        """Returns True where a line belongs to the record before. It is asked about every line, in order, also about the
        first, which begins a record in any case."""
        return False

    def read_header(self, line: bytes, given: Given) -> None:
        """Reads the first record of the file, where `header` is True: also where only what was added since is read. Raises
        WrongType."""


class Fixed(SourceType[bytes]):
    """A type whose records are all of one size."""

    @abstractmethod
    def size(self, beginning: bytes) -> int:
        """Returns the size of a record in a file that begins so, in up to 64 KiB. Raises WrongType."""


class Whole(SourceType[R]):
    """A type whose files are read as a whole, of at most MAX_WHOLE bytes. Its events have an `identity` each."""

    @abstractmethod
    def records(self, content: bytes, given: Given) -> Iterator[R]:
        """Yields the records, each as JSON can show it. Raises WrongType, or Damaged where it cannot go on."""


class SqliteQuery(SourceType[Row]):
    """A type that reads rows of a SQLite database. Its events have an `identity` each.

    `query` gives a number for each row, its rowid, in its first column, in ascending order. `needs` are the columns that
    must be there, by table; there may be more. A view is no table.
    """

    query: ClassVar[str]
    needs: ClassVar[Mapping[str, Collection[str]]]
