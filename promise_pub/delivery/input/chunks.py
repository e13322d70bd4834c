"""A stored file piece by piece, each with its place, so that its records can be found again without the rest."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator
from hashlib import sha256
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.reader import CHUNK, FilePosition, Reader, open_stored, read_header, reading
from promise_pub.delivery.input.row_chunks import ChunkPlace, RowChunk
from promise_pub.errors import StoredFileError
from promise_pub.records import Batch, Rejected, Row, StoredFile

Record = tuple[int, Row | Rejected]
"""A record and the line it starts on."""


class FileChunk(NamedTuple):
    """A piece of a file and its records; `batch` has their lines."""

    place: ChunkPlace
    batch: Batch


def in_order(batch: Batch) -> list[Record]:
    """Returns the records of a batch with lines in the order of the file."""
    records: list[Record] = [*zip(batch.lines, batch.rows, strict=True)]
    if batch.rejected:
        records += [(one.line, one) for one in batch.rejected]
        records.sort(key=itemgetter(0))
    return records


async def read_chunks(path: Path, dialect: Dialect, stored: StoredFile) -> AsyncGenerator[FileChunk]:
    """Yields the pieces of a file that hold records; each takes the event loop for 20 ms at most.

    Raises StoredFileError at its end where it is not the file that was stored: then nothing that it yielded holds.
    """
    whole, read = sha256(), 0
    header = await read_header(path, dialect) if dialect.header else None
    place = FilePosition(header.offset, header.line, 1) if header else FilePosition()
    reader = Reader(dialect, **place._asdict(), lines=True)
    with open_stored(path, 0) as file:
        data = bytearray()
        chunk = b"start"
        skip = place.offset
        while chunk:
            with reading(path):
                chunk = await asyncio.to_thread(file.read, CHUNK + skip)
            whole.update(chunk)
            read += len(chunk)
            records = chunk[skip:]
            data += records
            for batch in reader.batches(records, last=not chunk):
                size = batch.offset - place.offset
                piece = bytes(data[:size])
                del data[:size]
                if batch.rows or batch.rejected:
                    yield FileChunk(ChunkPlace(*place, size, zlib.crc32(piece)), batch)
                place = FilePosition(batch.offset, batch.line, place.number + len(batch.rows))
                await asyncio.sleep(0)
            skip = 0
    if (read, whole.hexdigest()) != (stored.bytes, stored.sha256):
        raise StoredFileError("The stored file has changed since the upload.")


async def holds_text(path: Path, dialect: Dialect, place: ChunkPlace, text: str) -> bool:
    r"""Tells whether a piece may hold this text, which is case-folded: quicker than reading its records.

    True where the file may spell it otherwise: quotes stand twice there, and bytes that are shown as \x escapes by
    themselves. Raises StoredFileError.
    """
    if any(mark in text for mark in ('"', "\\", dialect.delimiter)):
        return True
    data = await _read_piece(path, place)
    return text in data.decode(dialect.encoding, "backslashreplace").casefold()


async def _read_piece(path: Path, place: ChunkPlace) -> bytes:
    with open_stored(path, place.offset) as file, reading(path):
        data = await asyncio.to_thread(file.read, place.bytes)
    if zlib.crc32(data) != place.checksum:
        raise StoredFileError("The stored file has changed since the upload.")
    return data


async def read_records(path: Path, dialect: Dialect, chunk: RowChunk, first: int, end: int) -> list[Record]:
    """Returns the records of one piece from place `first` to before `end`. Raises StoredFileError where its bytes are not
    what they were."""
    place, found = chunk.place, list[Record]()
    data = await _read_piece(path, place)
    skipped, start, stop = _find_lines(chunk, data, first, end)
    with open_stored(path, place.offset + place.bytes) as file:
        position = FilePosition(place.offset + start, place.line + skipped, place.number + skipped)
        reader = Reader(dialect, **position._asdict(), lines=True)
        data = data[start:stop]
        # What follows decides why a quote that stays open costs its line, so the reader gets to see it.
        last = False
        while True:
            for batch in reader.batches(data, last=last):
                found += in_order(batch)
                await asyncio.sleep(0)
            if last or len(found) >= end - skipped:
                return found[first - skipped : end - skipped]
            with reading(path):
                data = await asyncio.to_thread(file.read, CHUNK)
            last = not data


def _find_lines(chunk: RowChunk, data: bytes, first: int, end: int) -> tuple[int, int, int]:
    """Returns how many records before `first` need not be parsed, and the bytes to parse: of the lines that are asked for,
    where every line is a record, else of the whole piece."""
    if chunk.line_offsets or b'"' in data or b"\r" in data:
        return 0, 0, len(data)
    before = data.split(b"\n", first)
    after = before[-1].split(b"\n", end - first)
    start = len(data) - len(before[-1])
    return first, start, len(data) - (len(after[-1]) if len(after) > end - first else 0)
