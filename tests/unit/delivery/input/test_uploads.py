"""Uploads: whole or not there, whatever goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from promise_pub.delivery.input import uploads as module
from promise_pub.delivery.input.uploads import NAME_LIMIT, WRITE_SIZE, Uploads, clean_name
from promise_pub.errors import DiskFull, FileTooLarge, StoredFileError
from promise_pub.records import StoredFile
from tests.fakes import until

LONG_AGO = time.time() - 40 * 86_400
ROOT = Path(__file__).parents[4]


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    uploads = Uploads(tmp_path / "uploads", limit=5 * WRITE_SIZE, keep_days=30)
    uploads.prepare()
    return uploads


@pytest.fixture
def run_id() -> str:
    return str(uuid4())


def folder(uploads: Uploads) -> list[str]:
    return sorted(path.name for path in uploads.path(str(uuid4())).parent.iterdir())


@pytest.mark.parametrize("sizes", [[], [0], [1], [10, 0, 20], [WRITE_SIZE], [700_000] * 5])
async def test_what_came_in_is_what_is_stored(uploads: Uploads, run_id: str, sizes: list[int]) -> None:
    chunks = [os.urandom(size) for size in sizes]
    async with uploads.receive(run_id) as upload:
        for chunk in chunks:
            await upload.write(chunk)
        assert folder(uploads) == [f"{run_id}.part"]
        stored = await upload.finish("data.csv")
    whole = b"".join(chunks)
    assert uploads.arrived(run_id).read_bytes() == whole
    assert (stored.name, stored.bytes) == ("data.csv", len(whole))
    assert stored.sha256 == hashlib.sha256(whole).hexdigest()
    assert folder(uploads) == [f"{run_id}.whole"]
    await uploads.keep(run_id)
    assert folder(uploads) == [f"{run_id}.csv"] and uploads.path(run_id).read_bytes() == whole
    await uploads.discard(run_id)
    await uploads.discard(run_id)
    assert folder(uploads) == []


async def test_a_chunk_may_be_changed_by_its_owner_after_it_was_taken(uploads: Uploads, run_id: str) -> None:
    chunk = bytearray(b"before")
    async with uploads.receive(run_id) as upload:
        await upload.write(chunk)
        chunk[:] = b"after!"
        await upload.finish("x")
    assert uploads.arrived(run_id).read_bytes() == b"before"


async def test_the_limit_is_the_last_size_that_is_taken(uploads: Uploads) -> None:
    fits, over = str(uuid4()), str(uuid4())
    async with uploads.receive(fits) as upload:
        await upload.write(bytes(uploads.limit))
        await upload.finish("x")
    with pytest.raises(FileTooLarge, match="5,242,880 bytes"):
        async with uploads.receive(over) as upload:
            await upload.write(bytes(uploads.limit))
            await upload.write(b"x")
    assert folder(uploads) == [f"{fits}.whole"]


@pytest.mark.parametrize("written", [0, 10, 3 * WRITE_SIZE])
async def test_an_upload_that_is_not_finished_leaves_nothing(uploads: Uploads, run_id: str, written: int) -> None:
    with pytest.raises(ConnectionResetError):
        async with uploads.receive(run_id) as upload:
            await upload.write(bytes(written))
            raise ConnectionResetError("the client is gone")
    assert folder(uploads) == []
    async with uploads.receive(run_id) as upload:
        await upload.write(bytes(written))  # and the block just ends
    assert folder(uploads) == []


@pytest.mark.parametrize("step", ["_open_locked", "_write_block", "_make_durable"])
async def test_cancelling_at_any_moment_leaves_nothing(
    uploads: Uploads, run_id: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread goes on when the task that waits for it is cancelled: it must not leave a file behind."""
    entered, leave = threading.Event(), threading.Event()
    owner: Any = module if step == "_open_locked" else module.Upload
    plain = getattr(owner, step)

    def slowly(*arguments: Any) -> Any:
        entered.set()
        assert leave.wait(30)
        return plain(*arguments)

    monkeypatch.setattr(owner, step, slowly)

    async def receive() -> None:
        async with uploads.receive(run_id) as upload:
            await upload.write(bytes(2 * WRITE_SIZE))
            await upload.finish("x")

    task = asyncio.create_task(receive())
    await until(entered.is_set)
    task.cancel()
    await asyncio.sleep(0.02)
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert folder(uploads) == []
    assert await sweep(uploads) == 0


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.errors import DiskFull

async def main(folder, limit, total):
    uploads = Uploads(Path(folder), limit=1 << 30, keep_days=30)
    uploads.prepare()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        async with uploads.receive("5d1b2a9e-0000-4000-8000-000000000000") as upload:
            for _ in range(total // 1000):
                await upload.write(bytes(1000))
            await upload.finish("x")
    except DiskFull as error:
        print(error.code, *Path(folder).iterdir())

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


@pytest.mark.parametrize("size", [3_000_000, 1_200_000], ids=["while writing", "at its end"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    """A process whose files may not grow over 1.1 MB: the system refuses as a full disk does."""
    arguments = [
        sys.executable,
        "-W",
        "error",
        "-c",
        FULL_DISK,
        str(tmp_path),
        "1100000",
        str(size),
    ]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert (ended.stdout, ended.stderr) == ("disk_full\n", "")


@pytest.mark.parametrize("number", [28, 122, 27], ids=["ENOSPC", "EDQUOT", "EFBIG"])
@pytest.mark.parametrize("step", ["_open_locked", "_write_block", "_make_durable"])
async def test_every_word_for_a_full_disk_is_understood(
    uploads: Uploads, run_id: str, number: int, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    owner: Any = module if step == "_open_locked" else module.Upload
    monkeypatch.setattr(owner, step, refuse)
    with pytest.raises(DiskFull):
        async with uploads.receive(run_id) as upload:
            await upload.write(bytes(WRITE_SIZE))
            await upload.finish("x")
    assert folder(uploads) == []


async def test_a_folder_that_was_cleaned_away_is_made_again(uploads: Uploads, run_id: str) -> None:
    kept = uploads.path(run_id).parent
    kept.rmdir()
    async with uploads.receive(run_id) as upload:
        await upload.finish("x")
    assert uploads.arrived(run_id).exists() and kept.stat().st_mode & 0o777 == 0o700


async def test_a_folder_that_is_gone_while_a_file_comes_in_is_told(uploads: Uploads, run_id: str) -> None:
    with pytest.raises(StoredFileError, match="cannot be stored: No such file"):
        async with uploads.receive(run_id) as upload:
            shutil.rmtree(uploads.path(run_id).parent)
            await upload.finish("x")


async def test_a_folder_that_cannot_be_used_is_named_at_the_start_and_whenever_asked(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        uploads = Uploads(tmp_path / place, limit=1, keep_days=1)
        told = re.escape(f"{tmp_path / place} cannot be used: There is a file of that name")
        with pytest.raises(StoredFileError, match=told):
            uploads.prepare()
        with pytest.raises(StoredFileError, match=told):
            await uploads.check()


async def test_a_folder_is_there_for_who_asks_even_after_it_was_cleaned_away(uploads: Uploads, run_id: str) -> None:
    uploads.path(run_id).parent.rmdir()
    await uploads.check()
    assert uploads.path(run_id).parent.is_dir()


def test_the_folder_is_private(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "a" / "b", limit=1, keep_days=1)
    uploads.prepare()
    uploads.prepare()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.fixture
def public(tmp_path: Path) -> Path:
    tmp_path.chmod(0o777)
    return tmp_path


async def test_files_are_their_owners_alone_whatever_the_folder_and_the_umask(public: Path, run_id: str) -> None:
    uploads = Uploads(public, limit=100, keep_days=1)
    uploads.prepare()
    before = os.umask(0)
    try:
        async with uploads.receive(run_id) as upload:
            await upload.write(b"a,a@x")
            assert rights(public) == {f"{run_id}.part": 0o600}
            await upload.finish("data.csv")
    finally:
        os.umask(before)
    assert rights(public) == {f"{run_id}.whole": 0o600}
    await uploads.keep(run_id)
    assert rights(public) == {f"{run_id}.csv": 0o600}


def rights(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_files_that_others_may_read_are_closed_to_them_and_what_is_not_of_runs_is_let_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir(mode=0o755)
    uploads = Uploads(folder, limit=1, keep_days=1)
    names = [f"{uuid4()}{suffix}" for suffix in (".csv", ".whole", ".part")]
    for name in (*names, "notes.csv", f"{uuid4()}.txt"):
        (folder / name).write_text("a,a@x")
        (folder / name).chmod(0o644)
    target, link = tmp_path / "target", folder / f"{uuid4()}.csv"
    target.write_text("another's")
    target.chmod(0o644)
    link.symlink_to(target)
    uploads.close_to_others()
    assert {name for name, mode in rights(folder).items() if mode == 0o600} == set(names)
    assert folder.stat().st_mode & 0o777 == 0o755 and not caplog.text
    folder.chmod(0o775)
    uploads.close_to_others()
    assert f"Other users may delete uploaded files: chmod 700 {folder}" in caplog.text


@pytest.mark.parametrize("hostile", ["../../etc/passwd", "", "x", "5d1b2a9e/../../x", "\0"])
async def test_nothing_but_a_run_id_becomes_a_path(uploads: Uploads, hostile: str) -> None:
    with pytest.raises(ValueError, match="UUID"):
        uploads.path(hostile)
    with pytest.raises(ValueError, match="UUID"):
        async with uploads.receive(hostile):
            raise AssertionError("it was let in")
    assert folder(uploads) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("data.csv", "data.csv"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("a\0b.csv", "a\ufffdb.csv"),
        ("evil\u202evsc.exe", "evil\ufffdvsc.exe"),
        ("line\r\nbreak", "line\ufffd\ufffdbreak"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("half \ud83d a pair", "half \ufffd a pair"),
        ("<script>'O\"Brien'", "<script>'O\"Brien'"),
        ("日本語 🦀.csv", "日本語 🦀.csv"),
        ("x" * 10_000, "x" * NAME_LIMIT),
        ("", "unnamed.csv"),
    ],
)
async def test_the_clients_name_is_data(uploads: Uploads, run_id: str, name: str, shown: str) -> None:
    assert clean_name(name) == shown
    async with uploads.receive(run_id) as upload:
        stored = await upload.finish(name)
    assert stored.name == shown
    shown.encode()  # which a database can hold
    assert folder(uploads) == [f"{run_id}.whole"]


async def sweep(uploads: Uploads, needed: Collection[str] = (), known: Collection[str] = ()) -> int:
    async def which(among: Collection[str], of: Collection[str]) -> set[str]:
        return {*among} & {*of}

    return await uploads.sweep(partial(which, known), partial(which, needed))


class TestSweep:
    @staticmethod
    def make(uploads: Uploads, name: str, when: float = LONG_AGO) -> str:
        path = uploads.path(str(uuid4())).parent / name
        path.write_text("x")
        os.utime(path, (when, when))
        return name

    async def test_it_deletes_what_is_old_or_half_written_and_nothing_else(self, uploads: Uploads) -> None:
        in_use, coming, done = str(uuid4()), str(uuid4()), str(uuid4())
        self.make(uploads, f"{done}.csv")
        self.make(uploads, f"{uuid4()}.part")
        self.make(uploads, f"{uuid4()}.part", time.time())  # a crash a moment ago
        kept = [
            self.make(uploads, f"{in_use}.csv"),
            self.make(uploads, f"{uuid4()}.csv", time.time() - 29 * 86_400),
            self.make(uploads, f"{uuid4()}.csv"),  # of a run in another ledger
            self.make(uploads, "notes.txt"),
        ]
        async with uploads.receive(coming) as upload:
            await upload.write(bytes(WRITE_SIZE))
            os.utime(uploads.path(coming).with_suffix(".part"), (LONG_AGO, LONG_AGO))
            assert await sweep(uploads, [in_use], known=[in_use, done]) == 3
            assert folder(uploads) == sorted([*kept, f"{coming}.part"])
            await upload.finish("x")
        assert folder(uploads) == sorted([*kept, f"{coming}.whole"])

    async def test_a_file_just_taken_in_stays_even_where_files_are_kept_for_no_day(self, tmp_path: Path) -> None:
        uploads = Uploads(tmp_path, limit=1, keep_days=0)
        new = self.make(uploads, f"{uuid4()}.csv", time.time() - 60)
        done = str(uuid4())
        self.make(uploads, f"{done}.csv", time.time() - 2 * 3600)
        assert await sweep(uploads, known=[done]) == 1 and folder(uploads) == [new]

    async def test_a_file_of_no_run_goes_unless_it_is_just_being_made_one(self, uploads: Uploads, run_id: str) -> None:
        orphan, caught = str(uuid4()), str(uuid4())
        for left in (orphan, caught):
            self.make(uploads, f"{left}.whole", time.time())
        async with uploads.receive(run_id) as upload:
            await upload.write(b"a,b\n")
            await upload.finish("x")
            assert await sweep(uploads, known=[caught]) == 1
            assert folder(uploads) == sorted([f"{caught}.csv", f"{run_id}.whole"])
        assert await sweep(uploads) == 1
        assert folder(uploads) == [f"{caught}.csv"]

    async def test_a_sweep_that_beats_the_lock_does_not_cost_the_upload(
        self, uploads: Uploads, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between making the file and locking it, it looks like one that a crash left."""
        plain, swept = module.fcntl.flock, []

        def sweep_first(file: Any, operation: int) -> None:
            if operation == module.fcntl.LOCK_EX and not swept:
                swept.append(None)
                swept[0] = uploads._look()[0]
            plain(file, operation)

        monkeypatch.setattr(module.fcntl, "flock", sweep_first)
        async with uploads.receive(run_id) as upload:
            await upload.write(b"a,b\n")
            await upload.finish("x")
        assert swept == [1]
        assert uploads.arrived(run_id).read_bytes() == b"a,b\n"

    async def test_what_another_sweep_took_is_no_error(self, uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
        gone = Path("/nowhere") / f"{uuid4()}.part"
        monkeypatch.setattr(Path, "glob", lambda *_: iter([gone, gone.with_suffix(".csv")]))
        assert await sweep(uploads) == 0


class TestVerify:
    @pytest.fixture
    async def stored(self, uploads: Uploads, run_id: str) -> StoredFile:
        async with uploads.receive(run_id) as upload:
            await upload.write(b"a,b\n" * 1_000_000)
            stored = await upload.finish("x")
        await uploads.keep(run_id)
        return stored

    async def test_a_file_that_is_what_it_was(self, uploads: Uploads, run_id: str, stored: StoredFile) -> None:
        await uploads.verify(run_id, stored)

    async def test_one_that_a_crash_caught_before_it_had_its_name_gets_it(
        self, uploads: Uploads, run_id: str, stored: StoredFile
    ) -> None:
        uploads.path(run_id).rename(uploads.arrived(run_id))
        await uploads.verify(run_id, stored)
        assert uploads.path(run_id).exists() and not uploads.arrived(run_id).exists()

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda path: path.unlink(), "missing"),
            (lambda path: path.write_bytes(b"a,b\n"), "another length"),
            (lambda path: path.write_bytes(b"a,c\n" * 1_000_000), "has changed since the upload"),
            (lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
        ],
    )
    async def test_one_that_is_not(
        self, uploads: Uploads, run_id: str, stored: StoredFile, change: Any, says: str
    ) -> None:
        change(uploads.path(run_id))
        with pytest.raises(StoredFileError, match=says):
            await uploads.verify(run_id, stored)
