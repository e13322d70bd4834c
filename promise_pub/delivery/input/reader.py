"""A CSV file's bytes → batches of Row and Rejected, in one pass and in bounded memory. `dialect.py` knows the
format, `quotes.py` where a record of several lines ends, `header.py` what the first record says.

Most of a file is rows without a quote: those are cut by the thousand (`_bulk`). Rows with quotes take one regular
expression each (`_one_by_one`). Everything else, from blank lines to quotes that never close, is `_odd`.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from itertools import count, repeat
from pathlib import Path
from typing import BinaryIO, NamedTuple

from promise_pub.delivery.input.dialect import (
    BLANK_LINES,
    EXCERPT,
    FIELD_LIMIT,
    IS_SEP_LINE,
    PLAIN,
    RECORD_LIMIT,
    ROW_REACH,
    SEP_LINE,
    Dialect,
)
from promise_pub.delivery.input.header import HEADER_LIMIT, Header, find_header
from promise_pub.delivery.input.lines import (
    after_last_line_end,
    after_line_end,
    count_line_ends,
    find_line_end,
    with_line_feeds,
)
from promise_pub.delivery.input.quotes import TEXT_AFTER_QUOTE, OpenRecords, Walker, WalkState
from promise_pub.errors import StoredFileError
from promise_pub.records import Batch, Rejected, Row

__all__ = ["CHUNK", "FIELD_LIMIT", "FilePosition", "Reader", "open_stored", "read_batches", "read_header", "reading"]

CHUNK = 65_536  # bytes read at once: about 2,000 rows, parsed in 1 ms
# Bytes parsed for one batch. Not over FIELD_LIMIT, so that no field in it can be.
_WINDOW = 2 * CHUNK - 1
_ONE_BY_ONE = 2_000  # records for one batch when they are parsed singly: 3 ms
_REJECTS = 250  # for one batch: 2 to 6 ms, by how much has to be looked at to see what is wrong

_new_tuple = tuple.__new__  # a third of the time of calling Row


class FilePosition(NamedTuple):
    """Start of a record, where reading can begin: byte offset, line, and the number its row would get."""

    offset: int = 0
    line: int = 1
    number: int = 1


_BEGINNING = FilePosition()


class Reader:
    """Parser of bytes into rows and rejects. Never raises on any bytes; every record becomes either a row or a reject.

    The result does not depend on how the bytes were cut, except for its grouping into batches. The work is linear in the
    bytes; never more than RECORD_LIMIT and one chunk are held.

    A record that cannot be taken apart (a quote that never closes, or not within the limits; text after a closing
    quote) costs the line it starts on.
    """

    def __init__(
        self,
        dialect: Dialect = PLAIN,
        *,
        offset: int = 0,
        line: int = 1,
        number: int = 1,
        lines: bool = False,
    ) -> None:
        """Starts at a position; `number` is the next row's. A BOM is skipped at offset 0 only. Start after a header.

        With `lines` each batch has them, which takes rows with quotes a fifth more time.
        """
        self._dialect = dialect
        self._fields = dialect.fields
        self._offset = offset  # of the buffer's first byte, in the file
        self._line = line
        self._number = number
        self._buffer = bytearray()
        self._position = 0  # in the buffer: where the next record starts
        self._complete = 0  # in the buffer: after the last line end
        self._held = b""  # a CR that ended the last chunk: the LF of a CRLF may follow
        self._may_have_bom = offset == 0 and bool(dialect.bom)
        self._size = sys.maxsize  # of the file, once its end is known
        self._rows: list[Row] = []
        self._lines: list[int] | None = [] if lines else None
        self._rejected: list[Rejected] = []
        # In the buffer: where the first line of a record ends whose own end is not here yet, or -1.
        self._open = -1
        self._walker = Walker(dialect)
        self._records = OpenRecords(self._walker, dialect.width)
        self._skipped = 0  # bytes dropped of a line that is too long

    def batches(self, chunk: bytes, *, last: bool = False) -> Iterator[Batch]:
        """Yields the records that are complete with this chunk, in batches that take no longer than 20 ms each.

        At least one batch, perhaps empty. After the `last` chunk a line without its line end counts as complete.
        """
        self._take(chunk)
        if last:
            self._end()
        yield self._batch()
        while self._unread():
            yield self._batch()

    def _take(self, chunk: bytes) -> None:
        chunk = self._held + chunk
        self._held = b"\r" if chunk.endswith(b"\r") else b""
        chunk = chunk.removesuffix(self._held)
        if self._skipped:
            chunk = self._skip(chunk)
        if end := after_last_line_end(chunk, 0, len(chunk)):
            self._complete = len(self._buffer) + end
        self._buffer += chunk
        bom = self._dialect.bom
        if self._may_have_bom and (self._buffer == bom or not bom.startswith(self._buffer)):
            self._may_have_bom = False
            self._position = len(bom) if self._buffer.startswith(bom) else 0

    def _end(self) -> None:
        self._may_have_bom = False
        if self._skipped:
            self._end_skipping(len(self._held))
        else:
            self._buffer += self._held
        self._held = b""
        self._size = self._offset + len(self._buffer)
        if self._complete < len(self._buffer):
            self._buffer += b"\n"
            self._complete = len(self._buffer)

    def _skip(self, chunk: bytes) -> bytes:
        """Drops bytes up to the end of a line that is too long. Returns what follows it."""
        end = find_line_end(chunk, 0)
        room = max(4 * EXCERPT - len(self._buffer), 0)
        self._buffer += chunk[: room if end < 0 else min(room, end)]
        if end < 0:
            self._skipped += len(chunk)
            return b""
        after = after_line_end(chunk, end)
        self._end_skipping(after)
        return chunk[after:]

    def _start_skipping(self) -> None:
        self._skipped = len(self._buffer)
        del self._buffer[4 * EXCERPT :]

    def _end_skipping(self, further: int) -> None:
        self._rejected.append(Rejected(self._line, self._dialect.too_long, self._dialect.excerpt(self._buffer)))
        self._line += 1
        self._offset += self._skipped + further
        self._skipped = 0
        self._buffer.clear()

    def _unread(self) -> bool:
        return self._open < 0 and self._position < self._complete

    def _batch(self) -> Batch:
        self._parse()
        self._trim()
        batch = Batch(self._rows, self._rejected, min(self._offset, self._size), self._line, self._lines or ())
        self._rows, self._rejected = [], []
        self._lines = None if self._lines is None else []
        return batch

    def _parse(self) -> None:
        if self._open >= 0 and not self._follow() or not self._unread():
            return
        if self._line == 1:
            end = self._line_end(self._position)
            if SEP_LINE.fullmatch(self._buffer, self._position, end):
                self._reject_line(end, IS_SEP_LINE)
                return
        stop = self._window()
        if self._buffer.find(b'"', self._position, stop) >= 0 or not self._bulk(stop):
            self._one_by_one(stop)

    def _trim(self) -> None:
        """Drops the parsed bytes; all positions in the buffer move along."""
        done, self._position = self._position, 0
        del self._buffer[:done]
        self._offset += done
        self._complete -= done
        self._records.shift(done)
        if self._open >= 0:
            self._open -= done
        if self._complete <= 0 and not self._skipped and len(self._buffer) >= RECORD_LIMIT:
            self._start_skipping()

    def _window(self) -> int:
        """Finds where to stop for one batch: after a line end, about _WINDOW bytes on."""
        furthest = self._position + _WINDOW
        if self._complete <= furthest:
            return self._complete
        if stop := after_last_line_end(self._buffer, self._position, furthest):
            return stop
        return after_line_end(self._buffer, self._line_end(furthest - 1))

    def _line_end(self, start: int) -> int:
        """Returns where the first line end from `start` on begins. There is one before `_complete`."""
        end = find_line_end(self._buffer, start)
        assert end >= 0
        return end

    def _bulk(self, stop: int) -> bool:
        """Cuts lines without quotes all at once, if every one of them is a row."""
        dialect, width = self._dialect, self._dialect.width
        raw = self._buffer[self._position : stop]
        window = with_line_feeds(raw)
        separators = window.translate(None, dialect.not_separators)
        lines = len(separators) // width
        if separators != dialect.line * lines or 0 in window or len(raw) > _WINDOW:
            return False
        try:
            text = window.decode(dialect.encoding)
        except UnicodeDecodeError:
            return False
        if width == 1 and (text.startswith("\n") or "\n\n" in text):
            return False  # a blank line looks like a row with one empty field
        fields = text.replace("\n", dialect.delimiter).split(dialect.delimiter)
        del fields[-1]  # what follows the last line end
        columns = [fields[column::width] for column in range(width)]
        numbered = zip(count(self._number), *columns, strict=False)
        self._rows += map(_new_tuple, repeat(Row), numbered)
        if self._lines is not None:
            self._lines += range(self._line, self._line + lines)
        self._number += lines
        self._line += lines
        self._position = stop
        return True

    def _one_by_one(self, stop: int) -> None:
        """Takes records up to `stop`, or until there are enough for one batch."""
        match = self._dialect.row.match
        counted = self._position  # the line ends before it are counted; those of many rows at once
        for _ in range(_ONE_BY_ONE):
            if self._position >= stop or len(self._rejected) >= _REJECTS:
                break
            row = match(self._buffer, self._position, min(stop, self._position + ROW_REACH))
            if row and self._lines is not None:
                self._line += count_line_ends(self._buffer[counted : self._position])
                counted = self._position
            if row and self._row(row):
                continue
            if counted < self._position:
                self._line += count_line_ends(self._buffer[counted : self._position])
            taken = self._odd(stop)
            counted = self._position
            if not taken:
                break
        self._line += count_line_ends(self._buffer[counted : self._position])

    def _row(self, match: re.Match[bytes]) -> bool:
        """Takes a row, and leaves its lines to be counted. False if it is not in the encoding."""
        try:
            fields = self._fields(match)
        except UnicodeDecodeError:
            return False
        self._rows.append(_new_tuple(Row, (self._number, *fields)))
        if self._lines is not None:
            self._lines.append(self._line)
        self._number += 1
        self._position = match.end()
        return True

    def _odd(self, stop: int) -> bool:
        """Takes blank lines, or one record of any kind. False if its end is not here yet."""
        if blank := BLANK_LINES.match(self._buffer, self._position, stop):
            self._line += count_line_ends(blank[0])
            self._position = blank.end()
            return True
        end = self._line_end(self._position)
        if end - self._position >= RECORD_LIMIT:
            return self._reject_line(end, self._dialect.too_long)
        place = self._walker.walk(self._buffer, self._position, WalkState.FIELD, end + 1)[1]
        if place is WalkState.END:
            return self._settle(end)
        if place is WalkState.MALFORMED:
            return self._reject_line(end, TEXT_AFTER_QUOTE)
        if doom := self._records.enter(end):
            return self._reject_line(end, doom)
        self._open = end
        return self._follow()

    def _follow(self) -> bool:
        """Continues the record that is open at the end of its first line. False if its end is not here yet."""
        whole = self._size < sys.maxsize
        end = self._records.follow(self._buffer, self._position, whole=whole)
        if end is None:
            return False
        return self._settle(end) if isinstance(end, int) else self._reject_line(self._open, end)

    def _settle(self, end: int) -> bool:
        """Takes the whole record that ends at this line end, as a row or a reject."""
        record = bytes(self._buffer[self._position : end])
        judged = self._dialect.judge(record, self._line, self._number)
        if isinstance(judged, Row):
            self._rows.append(judged)
            if self._lines is not None:
                self._lines.append(self._line)
            self._number += 1
        else:
            self._rejected.append(judged)
        return self._advance(end, 1 + count_line_ends(record))

    def _reject_line(self, end: int, reason: str) -> bool:
        line = self._buffer[self._position : end]
        self._rejected.append(Rejected(self._line, reason, self._dialect.excerpt(line)))
        return self._advance(end, 1)

    def _advance(self, end: int, lines: int) -> bool:
        self._position = after_line_end(self._buffer, end)
        self._line += lines
        self._open = -1
        return True


async def read_batches(
    path: Path,
    dialect: Dialect = PLAIN,
    *,
    start: FilePosition = _BEGINNING,
    chunk_size: int = CHUNK,
    lines: bool = False,
) -> AsyncGenerator[Batch, None]:
    """Yields the file's batches from a position on, without a header; each takes the event loop for 20 ms at most.

    The disk is read in a thread, and the file closed whatever happens (close the iterator if you leave it early:
    `contextlib.aclosing`). Raises StoredFileError, and BadHeader where the header is not what it was.
    """
    if dialect.header and not start.offset:
        if (header := await read_header(path, dialect)) is None:
            return
        start = FilePosition(header.offset, header.line, start.number)
    reader = Reader(dialect, **start._asdict(), lines=lines)
    with open_stored(path, start.offset) as file:
        chunk = b"start"
        while chunk:
            with reading(path):
                chunk = await asyncio.to_thread(file.read, chunk_size)
            for batch in reader.batches(chunk, last=not chunk):
                yield batch
                await asyncio.sleep(0)


async def read_header(path: Path, dialect: Dialect) -> Header | None:
    """Returns the file's header; None where it holds no record. Raises BadHeader or StoredFileError."""
    head = await read_head(path, HEADER_LIMIT + 1)
    return find_header(head, dialect, whole=len(head) <= HEADER_LIMIT)


async def read_head(path: Path, size: int) -> bytes:
    """Returns the file's first bytes. Raises StoredFileError."""
    with open_stored(path, 0) as file, reading(path):
        return await asyncio.to_thread(file.read, size)


@contextmanager
def open_stored(path: Path, offset: int) -> Iterator[BinaryIO]:
    """Opens a file here, not in a thread: a task that is cancelled meanwhile would never learn of the file to close."""
    with reading(path):
        file = path.open("rb")
    with file:
        with reading(path):
            file.seek(offset)
        yield file


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns the errors of reading a stored file into StoredFileError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoredFileError(f"The stored file {path.name} cannot be read: {reason}") from error
