"""Uploaded files: streamed to the folder and hashed on the way; a file is there complete, or not at all."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import logging
import os
import stat
import tempfile
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
)
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import UUID

from promise_pub.concurrency import join_tasks, run_in_thread
from promise_pub.errors import DiskFull, FileTooLarge, PromisePubError, StoredFileError
from promise_pub.files import close_to_others, open_private, sync_folder
from promise_pub.logs import fields
from promise_pub.records import StoredFile

log = logging.getLogger(__name__)

# Bytes handed to a thread at once: hashing and writing them take about a millisecond.
WRITE_SIZE = 1024 * 1024
# Bytes after which the disk is set to work, so that little is left to sync at the end.
SYNC_SIZE = 64 * 1024 * 1024
NAME_LIMIT = 255  # characters of the client's file name that are kept

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SUFFIXES = {".part", ".whole", ".csv"}
_DAY = 86_400  # seconds
_SHORTEST_KEEP = 3600  # seconds; a file that was just taken in may not have its run yet

Ask = Callable[[Collection[str]], Awaitable[set[str]]]
"""Returns the subset of the given run ids that satisfies a condition."""


class Uploads:
    """Folder of uploaded files: `{run id}.csv` for each, readable by its owner alone whatever the rights of the folder.

    While a file arrives it is `{run id}.part`, then `{run id}.whole` until the ledger knows its run: so a crash leaves
    nothing in doubt, and files of another ledger's runs are left alone.
    """

    def __init__(self, folder: Path, limit: int, keep_days: int) -> None:
        self.folder = folder
        self.limit = limit
        self._keep = max(keep_days * _DAY, _SHORTEST_KEEP)

    def prepare(self) -> None:
        """Creates the folder, private to this user, and tries to lock a file in it. Blocks shortly. Raises StoredFileError."""
        try:
            _make_folder(self.folder)
            with tempfile.TemporaryFile(dir=self.folder) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            there = isinstance(error, FileExistsError | NotADirectoryError)
            reason = "There is a file of that name, or in its path" if there else error.strerror
            raise StoredFileError(
                f"The folder of uploads {self.folder} cannot be used: {reason}. "
                "Set [server] uploads to a folder that this user may write to."
            ) from error

    def close_to_others(self) -> None:
        """Makes the files of runs their owner's alone, where a backup or an older version left them open. Blocks.

        The folder may be shared, and keeps its rights; a warning says that others could take files away.
        """
        for file in self.folder.glob("*.*"):
            if file.suffix in _SUFFIXES and _run_id(file):
                with suppress(OSError):  # another server's, which runs as another user; or deleted just now
                    close_to_others(file)
        if self.folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            log.warning("Other users may delete uploaded files: chmod 700 %s", self.folder)

    async def check(self) -> None:
        """Raises StoredFileError where no upload could be stored. A missing folder is created again."""
        await run_in_thread(self.prepare)

    def path(self, run_id: str) -> Path:
        """Returns the path of a run's file. The id is a UUID of this server: nothing a client sent gets into a path."""
        return self.folder / f"{UUID(run_id)}.csv"

    def arrived(self, run_id: str) -> Path:
        """Returns the path of a file until the ledger knows its run."""
        return self.folder / f"{UUID(run_id)}.whole"

    async def keep(self, run_id: str) -> None:
        """Gives a file that arrived its final name, once the ledger knows its run."""
        with _disk_errors():
            await run_in_thread(self._keep_whole, run_id)

    def _keep_whole(self, run_id: str) -> None:
        self.arrived(run_id).rename(self.path(run_id))
        sync_folder(self.folder)

    @asynccontextmanager
    async def receive(self, run_id: str) -> AsyncIterator[Upload]:
        """Receives a file. Unless `Upload.finish` was called when the block ends, nothing of it stays.

        Until then no sweep touches it: there is time to open its run.
        """
        part = self.folder / f"{UUID(run_id)}.part"
        upload = Upload(part, self.arrived(run_id), self.limit)
        try:
            with _disk_errors():
                await run_in_thread(upload.open)
            yield upload
        except PromisePubError as error:
            log.info("Upload refused", extra=fields(code=error.code, bytes=upload.size))
            raise
        finally:
            try:
                await upload.settle()
            finally:  # a second cancellation must not leave the file behind
                await run_in_thread(upload.close)

    async def discard(self, run_id: str) -> None:
        """Deletes the file of a run that never came to be."""
        for path in (self.arrived(run_id), self.path(run_id)):
            await run_in_thread(path.unlink, missing_ok=True)

    async def verify(self, run_id: str, stored: StoredFile) -> None:
        """Raises StoredFileError unless the file is still what was stored, byte for byte."""
        async with aclosing(self.read(run_id, stored)) as blocks:
            async for _ in blocks:
                pass

    async def read(self, run_id: str, stored: StoredFile) -> AsyncGenerator[bytes]:
        """Yields the bytes of a file. Raises StoredFileError, before its end, unless they are what was stored."""
        path = self.path(run_id)
        # Where a crash came before it had its name, and this before the sweep.
        await run_in_thread(_take, self.arrived(run_id), lambda _: self._keep_whole(run_id))
        sha256 = hashlib.sha256()
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size != stored.bytes:
                    raise StoredFileError("The stored file has another length than the upload.")
                while block := await asyncio.to_thread(file.read, WRITE_SIZE):
                    await asyncio.to_thread(sha256.update, block)
                    yield block
        except FileNotFoundError as error:
            raise StoredFileError("The stored file is missing.") from error
        except OSError as error:
            raise StoredFileError(f"The stored file cannot be read: {error.strerror}") from error
        if sha256.hexdigest() != stored.sha256:
            raise StoredFileError("The stored file has changed since the upload.")

    async def sweep(self, known: Ask, needed: Ask) -> int:
        """Repairs what a crash left behind, and deletes files older than the days they are kept. Returns how many.

        `known` returns the runs that are in the ledger, `needed` those whose old files must stay. An old file whose run the
        ledger does not know is another ledger's, and stays: two servers may share the folder, or a database be replaced.
        """
        gone, arrived, old = await asyncio.to_thread(self._look)
        of_a_run = await known(arrived | old) if arrived or old else set()
        for run_id in arrived:
            gone += await asyncio.to_thread(self._settle, run_id, run_id in of_a_run)
        ours = old & of_a_run
        for run_id in ours - await needed(ours) if ours else ():
            with suppress(OSError):  # another process may sweep as well
                await asyncio.to_thread(self.path(run_id).unlink)
                gone += 1
        return gone

    def _look(self) -> tuple[int, set[str], set[str]]:
        """Deletes half-written files. Returns their number, the runs of files that arrived, and of old ones. Blocks."""
        oldest = time.time() - self._keep
        gone = sum(_take(part, Path.unlink) for part in self.folder.glob("*.part"))
        arrived = {run_id for file in self.folder.glob("*.whole") if (run_id := _run_id(file))}
        old = set()
        for file in self.folder.glob("*.csv"):
            with suppress(OSError):
                if file.stat().st_mtime < oldest and (run_id := _run_id(file)):
                    old.add(run_id)
        return gone, arrived, old

    def _settle(self, run_id: str, known: bool) -> bool:
        """Keeps the file that a crash caught between the ledger and its name; deletes it if there is no run."""
        if known:
            _take(self.arrived(run_id), lambda _: self._keep_whole(run_id))
            return False
        return _take(self.arrived(run_id), Path.unlink)


def _run_id(file: Path) -> str | None:
    """Returns the run of a file; None for a file of others."""
    try:
        return str(UUID(file.stem))
    except ValueError:
        return None


class Upload:
    """One arriving file. Raises FileTooLarge over the limit, DiskFull when the disk is full."""

    _file: IO[bytes] | None = None
    _finished = False

    def __init__(self, part: Path, whole: Path, limit: int) -> None:
        self._part = part
        self._whole = whole
        self.limit = limit
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._hash = hashlib.sha256()
        self._writing: asyncio.Future[None] | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._unsynced = 0
        self.size = 0

    async def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self.limit:
            raise FileTooLarge(f"The file is larger than the limit of {self.limit:,} bytes.")
        self._pending.append(bytes(chunk))
        self._pending_size += len(chunk)
        if self._pending_size >= WRITE_SIZE:
            await self._flush()

    async def finish(self, name: str) -> StoredFile:
        """Completes the file: all of it is on disk, under the name of `Uploads.arrived`."""
        await self._flush()
        await self._written()
        await self._synced()
        with _disk_errors():
            await run_in_thread(self._make_durable)
        self._finished = True
        return StoredFile(name=clean_name(name), bytes=self.size, sha256=self._hash.hexdigest())

    async def link(self, source: Path) -> bool:
        """Completes the file as one more name of a stored one, which takes no disk: stored files never change.

        Deleting one name leaves the other; both are kept from now on. Returns False where the file system has no such
        names, and nothing has changed.
        """
        try:
            await run_in_thread(self._link, source)
        except OSError:
            return False
        self._finished = True
        with _disk_errors():
            await run_in_thread(sync_folder, self._whole.parent)
        return True

    def _link(self, source: Path) -> None:
        assert self._file
        with ExitStack() as failed:
            stored = failed.enter_context(source.open("rb"))
            fcntl.flock(stored, fcntl.LOCK_SH | fcntl.LOCK_NB)  # no sweep takes the new name for an orphan's
            os.utime(stored.fileno())
            os.link(source, self._whole)
            failed.pop_all()
        self._part.unlink()
        self._file.close()
        self._file = stored

    async def _flush(self) -> None:
        """Hands a block to a thread once the one before is done: one is written while the next comes in."""
        await self._written()
        block, self._pending = self._pending, []
        self._unsynced += self._pending_size
        self._pending_size = 0
        self._writing = asyncio.ensure_future(run_in_thread(self._write_block, block))
        if self._unsynced >= SYNC_SIZE and (self._syncing is None or self._syncing.done()):
            await self._synced()
            self._unsynced = 0
            self._syncing = asyncio.ensure_future(run_in_thread(self._sync))

    async def _written(self) -> None:
        writing, self._writing = self._writing, None
        if writing:
            with _disk_errors():
                await writing

    async def _synced(self) -> None:
        syncing, self._syncing = self._syncing, None
        if syncing:
            with _disk_errors():
                await syncing

    async def settle(self) -> None:
        """Waits for the threads that still work on the file, where no other caller does."""
        await join_tasks(*(work for work in (self._writing, self._syncing) if work))

    def open(self) -> None:
        """Creates the file, and its folder if that was removed. Blocks."""
        _make_folder(self._part.parent)
        self._file = _open_locked(self._part)

    def _write_block(self, block: list[bytes]) -> None:
        assert self._file
        # One piece: each call gives the interpreter's lock up, and waits to get it back.
        whole = b"".join(block)
        self._hash.update(whole)
        self._file.write(whole)

    def _sync(self) -> None:
        assert self._file
        os.fdatasync(self._file.fileno())

    def _make_durable(self) -> None:
        assert self._file
        self._file.flush()
        os.fsync(self._file.fileno())
        self._part.rename(self._whole)
        sync_folder(self._whole.parent)  # the name must outlive a crash as well

    def close(self) -> None:
        """Removes an unfinished file. Blocks."""
        if self._file is None:
            return
        with suppress(OSError):  # closing flushes, and a full disk refuses that again
            self._file.close()
        if not self._finished:
            self._part.unlink(missing_ok=True)
            self._whole.unlink(missing_ok=True)


def _open_locked(part: Path) -> IO[bytes]:
    """Opens a new file, locked as long as it is open: a half-written file without a lock was left by a crash."""
    while True:
        file = open(part, "xb", opener=open_private)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # a sweep took it for an orphan before it was locked


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _take(path: Path, do: Callable[[Path], object]) -> bool:
    """Does something with a file unless another process has it locked. Another process may sweep as well."""
    with suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        do(path)
        return True
    return False


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turns a full disk into DiskFull, any other refusal of the system into StoredFileError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull from error
        raise StoredFileError(f"The upload cannot be stored: {error.strerror}") from error


def clean_name(name: str) -> str:
    """Returns the client's name of the file as printable text of at most NAME_LIMIT characters."""
    kept = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:NAME_LIMIT])
    return kept or "unnamed.csv"
