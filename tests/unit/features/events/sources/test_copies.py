from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promise_pub.features.events.sources import copies as module
from promise_pub.features.events.sources.copies import Copies, Swept
from promise_pub.sources import Damaged

CONTENT = b"".join(b"%06d a line of a log\n" % number for number in range(20_000))
DIGEST = sha256(CONTENT).digest()


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    return Copies(tmp_path / "copies")


def store(copies: Copies, content: bytes = CONTENT, size: int = 7_000) -> bytes:
    with copies.write() as writer:
        for start in range(0, len(content), size):
            writer.write(content[start : start + size])
        return writer.finish()


def files(copies: Copies) -> list[str]:
    return sorted(str(path.relative_to(copies.folder)) for path in copies.folder.rglob("*") if not path.is_dir())


def age(path: Path, past: timedelta = timedelta(hours=2)) -> None:
    moment = path.stat().st_mtime - past.total_seconds()
    os.utime(path, (moment, moment))


def test_a_copy_is_named_by_its_content_and_read_again(copies: Copies) -> None:
    assert store(copies) == DIGEST

    name = DIGEST.hex()
    assert files(copies) == [f"{name[:2]}/{name[2:]}"]
    assert copies.path(DIGEST) == copies.folder / files(copies)[0]
    assert b"".join(copies.read(DIGEST)) == CONTENT


def test_a_copy_is_a_gzip_file_of_the_quickest_level(copies: Copies) -> None:
    store(copies)

    packed = copies.path(DIGEST).read_bytes()
    assert gzip.decompress(packed) == CONTENT
    assert packed[:2] == b"\x1f\x8b"
    # RFC 1952: 4 is the fastest algorithm.
    assert packed[8] == 4
    assert len(packed) < len(CONTENT) / 2


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=300), max_size=5))
def test_content_may_be_anything_in_any_parts(copies: Copies, parts: list[bytes]) -> None:
    with copies.write() as writer:
        for part in parts:
            writer.write(part)
        digest = writer.finish()

    assert digest == sha256(b"".join(parts)).digest()
    assert b"".join(copies.read(digest)) == b"".join(parts)


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_copies_are_their_owner_s_alone(copies: Copies) -> None:
    with copies.write() as writer:
        writer.write(CONTENT)
        (part,) = copies.folder.iterdir()
        modes = [part.stat().st_mode & 0o777]
        writer.finish()

    path = copies.path(DIGEST)
    modes += [one.stat().st_mode & 0o777 for one in (path, path.parent, copies.folder)]
    assert modes == [0o600, 0o600, 0o700, 0o700]


def test_the_same_content_twice_is_one_copy(copies: Copies) -> None:
    assert store(copies) == store(copies, size=100_000) == DIGEST

    assert len(files(copies)) == 1


def test_a_damaged_copy_is_whole_again_once_the_same_is_written(copies: Copies) -> None:
    store(copies)
    copies.path(DIGEST).write_bytes(b"rubbish")

    store(copies)

    assert b"".join(copies.read(DIGEST)) == CONTENT


def test_a_copy_is_on_the_disk_before_it_has_its_name_and_its_name_after(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        done.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def note_replace(path: Path, to: Path) -> Path:
        done.append("named")
        return replace(path, to)

    store(copies, b"")
    with copies.write() as writer:
        writer.write(CONTENT)
        (part,) = copies.folder.glob("*.part")
        monkeypatch.setattr(os, "fsync", note_fsync)
        monkeypatch.setattr(Path, "replace", note_replace)
        writer.finish()

    folder = copies.path(DIGEST).parent
    assert done == [str(part), str(copies.folder), "named", str(folder)]


def test_an_abandoned_copy_leaves_nothing(copies: Copies) -> None:
    with copies.write() as writer:
        writer.write(CONTENT)
    with pytest.raises(ZeroDivisionError), copies.write() as writer:
        writer.write(CONTENT)
        raise ZeroDivisionError

    assert files(copies) == []


def test_a_copy_that_is_ended_takes_nothing_more(copies: Copies) -> None:
    with copies.write() as writer:
        writer.write(CONTENT)
        writer.finish()
        writer.abandon()
        with pytest.raises(ValueError, match="finished"):
            writer.write(b"more")
        with pytest.raises(ValueError, match="finished"):
            writer.finish()

    assert b"".join(copies.read(DIGEST)) == CONTENT


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(("owner", "name"), [(os, "write"), (os, "fsync"), (Path, "mkdir"), (Path, "replace")], ids=str)
def test_a_full_disk_leaves_nothing_half_written(
    copies: Copies, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    before = store(copies, b"before")
    writer = copies.write()

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, lambda *args, **_: full(*args))
        with pytest.raises(OSError, match="No space left") as caught:
            writer.write(CONTENT)
            writer.finish()

    assert caught.value.errno == errno.ENOSPC
    assert files(copies) == [str(copies.path(before).relative_to(copies.folder))]
    with pytest.raises(ValueError, match="abandoned"):
        writer.write(b"more")


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    write, room = os.write, [1_000]

    def write_some(descriptor: int, content: memoryview) -> int:
        if not room[0]:
            full()
        written = write(descriptor, content[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", write_some)
    with pytest.raises(OSError, match="No space left"):
        store(copies)

    assert files(copies) == []


def test_what_the_system_takes_in_parts_is_written_in_full(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:1_000]))

    store(copies)

    assert b"".join(copies.read(DIGEST)) == CONTENT


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OSError):
        Copies(tmp_path / "file").write()


def test_a_copy_that_is_not_there_is_not_found(copies: Copies) -> None:
    with pytest.raises(FileNotFoundError):
        next(copies.read(DIGEST))


def test_a_copy_of_other_content_is_damaged_which_shows_at_its_end(copies: Copies) -> None:
    store(copies)
    copies.path(DIGEST).write_bytes(gzip.compress(CONTENT[:-1]))

    read = bytearray()
    with pytest.raises(Damaged, match="is not what was written"):
        for chunk in copies.read(DIGEST):
            read += chunk

    assert read == CONTENT[:-1]


@pytest.mark.parametrize("change", ["cut", "flipped", "rubbish", "rubbish behind it", "emptied"])
def test_a_damaged_copy_is_told(copies: Copies, change: str) -> None:
    store(copies)
    path = copies.path(DIGEST)
    packed = path.read_bytes()
    half = len(packed) // 2
    path.write_bytes(
        {
            "cut": packed[:half],
            "flipped": packed[:half] + bytes([packed[half] ^ 0xFF]) + packed[half + 1 :],
            "rubbish": b"rubbish",
            "rubbish behind it": packed + b"rubbish",
            "emptied": b"",
        }[change]
    )

    with pytest.raises(Damaged, match=DIGEST.hex()):
        list(copies.read(DIGEST))


def test_a_sweep_removes_what_nobody_refers_to_and_what_was_left_half_written(copies: Copies) -> None:
    kept, gone = store(copies, b"kept"), store(copies, b"gone")
    left = copies.folder / "left.part"
    left.write_bytes(b"12345")
    for path in (copies.path(kept), copies.path(gone), left):
        age(path)
    kept_size, gone_size = (copies.path(digest).stat().st_size for digest in (kept, gone))

    assert copies.sweep([kept]) == Swept(2, gone_size + 5)
    assert b"".join(copies.read(kept)) == b"kept"
    assert len(files(copies)) == 1
    assert copies.sweep({kept}) == Swept(0, 0)
    assert copies.sweep([]) == Swept(1, kept_size)


def test_a_sweep_spares_what_is_young(copies: Copies) -> None:
    digest = store(copies)
    (copies.folder / "now.part").touch()

    assert copies.sweep([]) == Swept(0, 0)
    assert len(files(copies)) == 2
    age(copies.path(digest), timedelta(minutes=59))
    assert copies.sweep([]).files == 0
    assert copies.sweep([], young=timedelta(minutes=58)).files == 1


def test_an_old_copy_is_young_once_it_is_written_again(copies: Copies) -> None:
    age(copies.path(store(copies)))

    store(copies)

    assert copies.sweep([]) == Swept(0, 0)


def test_an_old_copy_that_is_written_again_during_a_sweep_stays(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copies.path(store(copies))
    age(path)

    def lock_late(descriptor: int, how: int) -> None:
        """Gets the lock once an import, which had it, has written the same."""
        assert how == module.fcntl.LOCK_EX
        os.utime(path)

    monkeypatch.setattr(module.fcntl, "flock", lock_late)

    assert copies.sweep([]) == Swept(0, 0)
    assert path.exists()


def test_a_sweep_leaves_other_files_alone(copies: Copies, tmp_path: Path) -> None:
    store(copies)
    name = "ab" * 31
    (tmp_path / "elsewhere").touch()
    (copies.folder / "zz").mkdir()
    (copies.folder / "ab").mkdir(exist_ok=True)
    (copies.folder / "ab" / name).symlink_to(tmp_path / "elsewhere")
    others = [copies.folder / "notes", copies.folder / "zz" / name, copies.folder / "ab" / "notes"]
    for path in others:
        path.touch()
        age(path)
    (copies.folder / "folder.part").mkdir()

    assert copies.sweep([DIGEST], young=timedelta(seconds=-60)) == Swept(0, 0)
    assert len(files(copies)) == 5


def test_there_may_be_nothing_to_sweep(copies: Copies) -> None:
    assert copies.sweep([DIGEST]) == Swept(0, 0)
