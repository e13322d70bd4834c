"""Records of texts: lines, or some lines each, found in the bytes of a file and judged by their type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple, TypeVar

from promise_pub.features.events.sources.clocks import EPOCH
from promise_pub.features.events.sources.identity import key_of
from promise_pub.sources import MAX_RECORD, Damaged, Found, Given, Ignored, Lines, NoRecord, SourceType, WrongType
from promise_pub.text import counted, storable

R = TypeVar("R")

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
TRIED = 1_000
"""Records of which one at least is of the type, or the file is not."""
MAX_REASON = 200
"""Characters of a reason."""
MAX_SHOWN = 800
"""Bytes of a rejected record that are kept, so that some of it can be shown in any encoding."""

_TOO_LONG = f"the record is longer than {MAX_RECORD:,} bytes"
_NOT_LIKE_ONE = "it does not look like one"


class Bytes(NamedTuple):
    """A record as it stands in its file, from `position` to `end`, without the end of its last line. `line` counts from 1.

    Of one that is longer than MAX_RECORD a beginning is left, and `too_long` is True. `ended` is False for a last line that
    has no end: it may still grow, and then turn out to belong to the record before.
    """

    position: int
    end: int
    line: int
    content: bytes
    too_long: bool
    ended: bool


class Rejected(NamedTuple):
    """A record that its type cannot read, with the reason and its beginning."""

    reason: str
    shown: bytes


class Judged(NamedTuple):
    """A record with what its type makes of it, and the key of its identity."""

    position: int
    end: int
    line: int
    key: bytes
    outcome: Found | Ignored | Rejected
    ended: bool


def read_lines(
    source: Lines, chunks: Iterable[bytes], given: Given, position: int = 0, line: int = 1
) -> Iterator[Judged]:
    """Yields the records of a text, of which `chunks` are all bytes from a position on, at which a record begins.

    A header is read where that is the first one; on any other position the type has read it before. Raises WrongType where
    none of the first records of the file, TRIED at most, is of the type.
    """
    records = find_records(source, chunks, position, line)
    if source.header and not position:
        for first in records:
            with failing_as(WrongType):
                source.read_header(first.content, given)
            yield _judged(source, first, Ignored("header"))
            break
    judged = (_judged(source, one, _outcome(source, one, given)) for one in records)
    # A file that is read on has been found to be of the type, whatever was added to it.
    yield from judged if position else require_one(judged, source)


def require_one(records: Iterator[Judged], source: SourceType[R]) -> Iterator[Judged]:
    """Yields records once one of them was not rejected. Raises WrongType where TRIED of them were, or all there are."""
    tried: list[Judged] = []
    for record in records:
        tried.append(record)
        if not isinstance(record.outcome, Rejected):
            yield from chain(tried, records)
            return
        if len(tried) == TRIED:
            break
    if tried:
        first = tried[0].outcome
        reason = first.reason if isinstance(first, Rejected) else ""
        raise WrongType(
            f"It looks like no {source.name}: {counted(len(tried), 'record')} of {len(tried):,} cannot be read. The first: {reason}."
        )


def judge(source: SourceType[R], record: R, given: Given, shown: bytes) -> Found | Ignored | Rejected:
    """Returns what a type makes of a record. Whatever a type raises or returns costs that record alone."""
    try:
        outcome = source.event(record, given)
        _require_fit(outcome)
    except Exception as error:  # noqa: BLE001  types of others may raise anything
        return reject(_words(error, NoRecord), shown)
    return outcome


def reject(reason: str, shown: bytes) -> Rejected:
    """Returns a rejection whose reason and record are bounded, and whose reason can be stored."""
    return Rejected(storable(reason[:MAX_REASON]), shown[:MAX_SHOWN])


@contextmanager
def failing_as(error: type[Exception], *others: type[Exception]) -> Iterator[None]:
    """Raises `error` with the words of whatever a type raises that is neither this nor one of the others."""
    try:
        yield
    except (error, *others):
        raise
    except Exception as failure:
        raise error(_words(failure, error)) from failure


def said_by(error: BaseException) -> str:
    """Returns what an error says, bounded, whatever it is."""
    try:
        return str(error)[:MAX_REASON]
    except Exception as worse:  # noqa: BLE001  an error of others may fail at that, too
        return f"it cannot be told, for {type(worse).__name__}"


def _words(error: Exception, expected: type[Exception]) -> str:
    told = said_by(error)
    return told if isinstance(error, expected) else f"the type failed with {type(error).__name__}: {told}"


def _require_fit(outcome: object) -> None:
    """Raises NoRecord where a type returned what no event can be made of, as a type without annotations may."""
    if isinstance(outcome, Ignored):
        return
    if not isinstance(outcome, Found):
        raise NoRecord(f"the type returned {type(outcome).__name__}, no event")
    if not isinstance(outcome.text, str) or not isinstance(outcome.identity, bytes | None):
        raise NoRecord("the type returned an event whose text or identity is none")
    for moment in (outcome.at, outcome.until or outcome.at):
        if moment.tzinfo is None or moment <= EPOCH:
            raise NoRecord("the type returned a time that has no zone, or is not after 1970")


def find_records(source: Lines, chunks: Iterable[bytes], position: int = 0, line: int = 1) -> Iterator[Bytes]:
    """Yields lines, joined to records as the type says, in memory for two records of MAX_RECORD. Raises Damaged where the type
    fails at a line, once all records before it were yielded."""
    held: _Held | None = None
    for one in _find_lines(chunks, source.ends, position, line):
        try:
            joins = source.joins(one.content)
        except Exception as error:
            if held:
                yield held.record()
            raise Damaged(_words(error, Damaged)) from error
        if held and joins:
            held.join(one, source.ends)
            continue
        if held:
            yield held.record()
        held = _Held(one)
    if held:
        yield held.record()


class _Held:
    """A record that the next line may belong to."""

    def __init__(self, first: Bytes) -> None:
        self._first = first
        self._last = first
        self._too_long = first.too_long
        self._content = bytearray(first.content)

    def join(self, line: Bytes, ends: bytes) -> None:
        self._last = line
        if not self._too_long:
            self._content += ends + line.content
        self._too_long |= line.too_long or len(self._content) > MAX_RECORD

    def record(self) -> Bytes:
        first, last = self._first, self._last
        return Bytes(first.position, last.end, first.line, bytes(self._content), self._too_long, last.ended)


def _find_lines(chunks: Iterable[bytes], ends: bytes, position: int, line: int) -> Iterator[Bytes]:
    rest, passed_over = b"", 0
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(ends)
        for content in whole:
            end = position + len(content) + passed_over + len(ends)
            yield _line(position, end, line, content, too_long=passed_over > 0, ended=True)
            position, line, passed_over = end, line + 1, 0
        if len(rest) > MAX_RECORD:
            # A part of the end may have come: it stays, so that it is found with what comes next.
            kept = MAX_SHOWN + len(ends)
            passed_over += len(rest) - kept
            rest = rest[:MAX_SHOWN] + rest[-len(ends) :]
    if rest:
        yield _line(position, position + len(rest) + passed_over, line, rest, too_long=passed_over > 0, ended=False)


def _line(position: int, end: int, line: int, content: bytes, *, too_long: bool, ended: bool) -> Bytes:
    if not position:
        content = content.removeprefix(BYTE_ORDER_MARK)
    return Bytes(position, end, line, content.removesuffix(b"\r"), too_long or len(content) > MAX_RECORD, ended)


def _outcome(source: Lines, record: Bytes, given: Given) -> Found | Ignored | Rejected:
    content = record.content
    if record.too_long:
        return Rejected(_TOO_LONG, content[:MAX_SHOWN])
    if not content.strip():
        return Ignored("blank")
    found = source.record.fullmatch(content)
    return judge(source, found, given, content) if found else Rejected(_NOT_LIKE_ONE, content[:MAX_SHOWN])


def _judged(source: Lines, record: Bytes, outcome: Found | Ignored | Rejected) -> Judged:
    own = outcome.identity if isinstance(outcome, Found) else None
    key = key_of(source.name, record.content if own is None else own)
    return Judged(record.position, record.end, record.line, key, outcome, record.ended)
