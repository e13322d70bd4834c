"""Records of a file of any type, by the frame that its type inherits from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from promise_pub.features.events.sources.finding import Judged, failing_as, find_records, read_lines
from promise_pub.features.events.sources.fixed import read_fixed
from promise_pub.features.events.sources.reading import BLOCK, ByteStream
from promise_pub.features.events.sources.rows import read_rows
from promise_pub.features.events.sources.shown import UntilDamaged
from promise_pub.features.events.sources.whole import read_whole
from promise_pub.sources import MAX_WHOLE, Damaged, Fixed, Given, Lines, SourceType, SqliteQuery, Whole, WrongType

R = TypeVar("R")


def read_records(
    source: SourceType[Any], file: ByteStream | Path, given: Given, position: int = 0, line: int = 1
) -> Iterator[Judged]:
    """Yields the records of a file: of a stream at its beginning, or for rows of a database of the path of a copy.

    Lines and records of one size are read from a position on, at which a record begins; all others as a whole. Raises
    WrongType, before anything was yielded but a header; Damaged, once all records before the damage were; EOFError where the
    file ends before the position; OSError.
    """
    match source, file:
        case SqliteQuery(), Path():
            yield from read_rows(source, file, given)
        case Whole(), ByteStream():
            yield from _read_whole(source, file, given)
        case Lines() | Fixed(), ByteStream():
            yield from _read_on(source, file, given, position, line)
        case _:
            raise TypeError(f"{type(source).__name__} cannot be read from a {type(file).__name__}")


def _read_on(source: Lines | Fixed, stream: ByteStream, given: Given, position: int, line: int) -> Iterator[Judged]:
    if position:
        stream.skip_to(position)
    chunks = UntilDamaged(stream.chunks())
    if isinstance(source, Fixed):
        yield from read_fixed(source, stream.head, chunks, given, position, line)
    else:
        if source.header and stream.head:
            header = _header_of(source, stream.head)
            if position:
                with failing_as(WrongType):
                    source.read_header(header, given)
        yield from read_lines(source, chunks, given, position, line)
    chunks.raise_damage()


def _header_of(source: Lines, head: bytes) -> bytes:
    # A type may remember the lines that it was asked about: those of the header are not before the ones that follow.
    for first in find_records(copy.copy(source), [head]):
        if not first.ended and len(head) >= BLOCK:
            break
        return first.content
    raise WrongType(f"It has no header of at most {BLOCK:,} bytes.")


def _read_whole(source: Whole[R], stream: ByteStream, given: Given) -> Iterator[Judged]:
    chunks = UntilDamaged(stream.chunks())
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_WHOLE:
            raise Damaged(f"It is longer than {MAX_WHOLE:,} bytes, and can only be read as a whole.")
    try:
        yield from read_whole(source, bytes(content), given)
    except WrongType:
        # What a type makes of a part of a file says less than that there is only a part.
        chunks.raise_damage()
        raise
    chunks.raise_damage()
