"""Files of sources as streams of bytes, packed or not, with what tells later whether a file is the same and has grown."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from pathlib import Path
from typing import BinaryIO

from promise_pub.features.events.sources.unpacking import MAGIC, Ahead, Unpacker
from promise_pub.sources import Damaged

STDIN = "-"
BLOCK = 64 * 1024
"""Bytes at the beginning of a file, and before an offset, by which it is known again; and those of a chunk."""
RECENT = 4 * 1024**2
"""Bytes before the offset of a stream within which the block before an offset can still be told. Two records of the greatest
length and a chunk are within them."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class NotAFile(Exception):
    """A path at which something else than a file stands."""


def open_stream(path: str | Path, max_file: int, stdin: BinaryIO | None = None) -> ByteStream:
    """Opens a file, or standard input for "-". Of a file that grows, what is there now is read.

    Raises NotAFile, or OSError; never waits for somebody who writes to a pipe.
    """
    if path == STDIN:
        return ByteStream(stdin or sys.stdin.buffer, max_file)
    # A pipe without a writer would be waited for; opening a terminal would make it this process's own.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "something else")
        raise NotAFile(f"It is {kind}, not a file.")
    raw = os.fdopen(descriptor, "rb", buffering=0)
    try:
        return ByteStream(raw, max_file, status)
    except BaseException:
        raw.close()
        raise


class ByteStream:
    """The bytes of a file from its beginning on, unpacked where gzip packed it.

    `head` is its first block. `status` is that of the file when it was opened, None for standard input. After `max_file`
    bytes the file is Damaged, as it is where a packed one is cut off or broken.
    """

    def __init__(self, raw: BinaryIO, max_file: int, status: os.stat_result | None = None) -> None:
        self.status = status
        self.offset = 0
        self._raw = raw
        self._max_file = max_file
        # A file of the kernel's has no size, and is read to its end.
        self._left = status.st_size if status and status.st_size else sys.maxsize
        self._digest = sha256()
        self._recent = bytearray()
        self._content = Ahead(self._read_raw)
        self._unpacker: Unpacker | None = None
        beginning = self._content.peek(8)
        if beginning.startswith(MAGIC):
            self._unpacker = Unpacker(self._content.read)
            self._content = Ahead(self._unpacker.read)
        self._packed_at = int.from_bytes(beginning[4:], "little") if self._unpacker else 0
        self.head = self._content.peek(BLOCK)

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(self, *_: object) -> None:
        if self.status:
            self._raw.close()

    @property
    def is_packed(self) -> bool:
        return self._unpacker is not None

    @property
    def has_rubbish(self) -> bool:
        """True once something else was found after the content of a packed file, which is not read."""
        return self._unpacker is not None and self._unpacker.has_rubbish

    @property
    def modified(self) -> datetime | None:
        """The moment at which the content was changed last: as gzip noted it, else as the file system did."""
        if self._packed_at:
            return datetime.fromtimestamp(self._packed_at, UTC)
        return datetime.fromtimestamp(self.status.st_mtime, UTC) if self.status else None

    @property
    def sha256(self) -> bytes:
        """The digest of what was read since the beginning, or since the offset that was skipped to."""
        return self._digest.digest()

    @property
    def head_digest(self) -> bytes:
        return _digest(self.head)

    def digest_before(self, offset: int) -> bytes:
        """Returns the digest of the block before an offset that was passed within the RECENT bytes. Raises ValueError for
        any other."""
        before_recent = self.offset - len(self._recent)
        start = max(0, offset - BLOCK)
        if not before_recent <= start <= offset <= self.offset:
            raise ValueError(f"the block before {offset:,} is not held at {self.offset:,}")
        return _digest(self._recent[start - before_recent : offset - before_recent])

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes, at least one before the end. Raises Damaged, or OSError."""
        if self.offset < self._max_file:
            taken = self._content.read(min(size, self._max_file - self.offset))
        elif self._content.peek(1):
            raise Damaged(f"It is longer than {self._max_file:,} bytes, and was read up to there.")
        else:
            taken = b""
        self.offset += len(taken)
        self._digest.update(taken)
        self._remember(taken)
        return taken

    def chunks(self) -> Iterator[bytes]:
        """Yields all bytes that follow. Raises as `read` does."""
        while chunk := self.read(BLOCK):
            yield chunk

    def skip_to(self, offset: int) -> None:
        """Goes forward to an offset, where the block before it can be told. A packed file is read up to there.

        Raises EOFError for a file that is shorter, and as `read` does.
        """
        if offset < self.offset:
            raise ValueError(f"{offset:,} is before {self.offset:,}, up to which was read")
        if self.status and self.status.st_size and not self.is_packed and offset - self.offset > BLOCK:
            self.offset = self._raw.seek(offset - BLOCK)
            self._left = max(0, self.status.st_size - self.offset)
            self._recent.clear()
            self._content = Ahead(self._read_raw)
        while self.offset < offset:
            if not self.read(min(BLOCK, offset - self.offset)):
                raise EOFError(f"it ends at {self.offset:,}, before {offset:,}")
        self._digest = sha256()

    def _read_raw(self, size: int) -> bytes:
        taken: bytes = self._raw.read(min(size, self._left)) or b""
        self._left -= len(taken)
        return taken

    def _remember(self, taken: bytes) -> None:
        self._recent += taken
        # They are cut by halves, so that a byte is moved once on average, however few are read at once.
        if len(self._recent) > 2 * (RECENT + BLOCK):
            del self._recent[: -(RECENT + BLOCK)]


def _digest(content: bytes | bytearray) -> bytes:
    return blake2b(content, digest_size=16).digest()
