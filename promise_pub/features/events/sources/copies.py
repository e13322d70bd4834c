"""The folder of copies: what imports read, packed, and named by the SHA-256 of what is in it.

A copy is a segment of a file: what one import read of it. Copies and the folders that are made for them are their owner's
alone. Each is written as a `.part` first, and is on the disk before it gets its name: under a name there is a whole copy.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import stat
import tempfile
import time
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from promise_pub.files import sync_folder
from promise_pub.sources import Damaged

PART = ".part"
CHUNK = 1 << 16
"""Bytes that are read at a time."""
YOUNG = timedelta(hours=1)
"""Time for which a file is spared that nobody refers to: an import that goes on may be about to."""

_LEVEL = 1
# zlib's windows of 32 KiB, with the head and the sum of gzip.
_GZIP = 31
_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}")


class Swept(NamedTuple):
    """Files that were removed, and their bytes as they were packed."""

    files: int
    size: int


class Copies:
    """Copies in a folder, which is made when the first is written. Everything here blocks, and may raise OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self.folder / name[:2] / name[2:]

    def write(self) -> CopyWriter:
        """Begins a copy. Use it as a context: where that ends before `finish`, nothing is left."""
        _make_folder(self.folder)
        return CopyWriter(self)

    def read(self, digest: bytes) -> Iterator[bytes]:
        """Yields the content of a copy, in constant memory. Raises FileNotFoundError where there is none, and, behind all that
        can be read, Damaged where that is not what was written."""
        summed = sha256()
        try:
            with gzip.open(self.path(digest)) as file:
                while chunk := file.read(CHUNK):
                    summed.update(chunk)
                    yield chunk
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Damaged(f"the copy {digest.hex()} cannot be unpacked: {error}") from error
        if summed.digest() != digest:
            raise Damaged(f"the copy {digest.hex()} is not what was written")

    def sweep(self, keep: Collection[bytes], young: timedelta = YOUNG) -> Swept:
        """Removes the copies that are not to be kept, and what was left half written, but for what was changed of late. Other
        files in the folder are left alone."""
        kept = {self.path(digest) for digest in keep}
        before = time.time() - young.total_seconds()
        ours = [path for path in self.folder.glob("??/*") if _NAME.fullmatch(f"{path.parent.name}/{path.name}")]
        sizes = [self._remove(path, before) for path in (*ours, *self.folder.glob(f"*{PART}")) if path not in kept]
        removed = [size for size in sizes if size is not None]
        return Swept(len(removed), sum(removed))

    def _remove(self, path: Path, before: float) -> int | None:
        """Removes a file that was not changed since, and returns its size. Another process may have removed it just now."""
        with self.locked(), suppress(FileNotFoundError):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_mtime < before:
                path.unlink()
                return found.st_size
        return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from naming and removing copies meanwhile.

        Between the look at an old copy and its removal, an import may write the same once more and then refer to it: it
        would be lost.
        """
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class CopyWriter:
    """A copy that is being written."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._summed = sha256()
        self._file, part = tempfile.mkstemp(PART, dir=copies.folder)
        self._part: Path | None = Path(part)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def write(self, content: bytes) -> None:
        """Adds content. Where that fails, as on a full disk, nothing is left. Raises ValueError once the copy is ended."""
        self._open_part()
        self._summed.update(content)
        try:
            self._store(self._packer.compress(content))
        except OSError:
            self.abandon()
            raise

    def finish(self) -> bytes:
        """Gives the copy its name, and returns its digest, with both on the disk. Where that fails nothing is left.

        One of the same content is replaced: it may be damaged, or so old that it would be swept before it is referred to.
        Raises ValueError once the copy is ended.
        """
        part = self._open_part()
        path = self._copies.path(self._summed.digest())
        try:
            self._store(self._packer.flush())
            os.fsync(self._file)
            _make_folder(path.parent)
            with self._copies.locked():
                part.replace(path)
        finally:
            # Once it has its name, there is no such part any more.
            self.abandon()
        sync_folder(path.parent)
        return self._summed.digest()

    def abandon(self) -> None:
        """Removes what was written so far, unless it has its name."""
        if part := self._part:
            self._part = None
            os.close(self._file)
            part.unlink(missing_ok=True)

    def _open_part(self) -> Path:
        if not self._part:
            raise ValueError("the copy is finished or abandoned")
        return self._part

    def _store(self, packed: bytes) -> None:
        left = memoryview(packed)
        while left:
            left = left[os.write(self._file, left) :]


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)
