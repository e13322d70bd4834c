from __future__ import annotations

import gzip
import io
import os
import socket
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.sources.reading import BLOCK, RECENT, ByteStream, NotAFile, open_stream
from promise_pub.sources import Damaged

MOST = 1 << 30
CONTENT = b"".join(b"line %d\n" % number for number in range(40_000))  # more than four blocks


def digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def stream_of(content: bytes, max_file: int = MOST) -> ByteStream:
    """A stream of standard input, which cannot be sought."""
    return ByteStream(io.BytesIO(content), max_file)


def read_until_damaged(stream: ByteStream, size: int = BLOCK) -> tuple[bytes, str]:
    """Returns all that is read, and the damage after it."""
    content = b""
    with pytest.raises(Damaged) as damage:
        while chunk := stream.read(size):
            content += chunk
    return content, str(damage.value)


@pytest.fixture(params=["plain", "packed"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT if request.param == "plain" else gzip.compress(CONTENT, 1))
    return path


def test_a_file_is_read_as_it_was_before_it_was_packed(path: Path) -> None:
    with open_stream(path, MOST) as stream:
        assert (stream.offset, stream.head, stream.head_digest) == (0, CONTENT[:BLOCK], digest(CONTENT[:BLOCK]))
        assert b"".join(stream.chunks()) == CONTENT
        assert (stream.offset, stream.sha256) == (len(CONTENT), sha256(CONTENT).digest())
        assert not stream.has_rubbish


@pytest.mark.parametrize("offset", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7, len(CONTENT)])
def test_a_file_is_read_on_from_an_offset_and_known_by_the_block_before_it(path: Path, offset: int) -> None:
    with open_stream(path, MOST) as stream:
        stream.skip_to(offset)

        assert (stream.offset, stream.head) == (offset, CONTENT[:BLOCK])
        assert stream.digest_before(offset) == digest(CONTENT[max(0, offset - BLOCK) : offset])
        assert b"".join(stream.chunks()) == CONTENT[offset:]
        assert stream.sha256 == sha256(CONTENT[offset:]).digest()


def test_a_file_that_ends_before_the_offset_is_told(path: Path) -> None:
    with open_stream(path, MOST) as stream, pytest.raises(EOFError):
        stream.skip_to(len(CONTENT) + 1)


def test_a_stream_is_never_skipped_back(path: Path) -> None:
    with open_stream(path, MOST) as stream:
        stream.read(10)
        with pytest.raises(ValueError, match="before 10"):
            stream.skip_to(9)


def test_blocks_before_recent_offsets_are_told_and_no_others() -> None:
    content = os.urandom(3 * (RECENT + BLOCK))
    stream = stream_of(content)
    while chunk := stream.read(1_000):
        for offset in (stream.offset, max(0, stream.offset - RECENT), stream.offset - len(chunk)):
            if offset % 97 == 0:
                assert stream.digest_before(offset) == digest(content[max(0, offset - BLOCK) : offset])
    for offset in (0, BLOCK, stream.offset + 1):
        with pytest.raises(ValueError, match="not held"):
            stream.digest_before(offset)


def test_no_more_than_the_limit_is_read() -> None:
    assert stream_of(CONTENT, len(CONTENT)).read(10) == CONTENT[:10]
    assert b"".join(stream_of(CONTENT, len(CONTENT)).chunks()) == CONTENT
    content, damage = read_until_damaged(stream_of(CONTENT, 100_000))
    assert content == CONTENT[:100_000]
    assert damage == "It is longer than 100,000 bytes, and was read up to there."


def test_a_little_file_that_unpacks_to_much_ends_at_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))

    content, damage = read_until_damaged(stream_of(bomb, 1_000_000))

    assert len(bomb) < 100_000 and len(content) == 1_000_000 and "longer than" in damage


def test_several_members_are_one_file_also_with_zeros_after_each() -> None:
    packed = gzip.compress(b"a\n") + gzip.compress(b"") + bytes(20_000) + gzip.compress(b"b\n") + bytes(512)
    stream = stream_of(packed)

    assert b"".join(stream.chunks()) == b"a\nb\n"
    assert not stream.has_rubbish


@pytest.mark.parametrize("rubbish", [b"x", b"\x1f\x8b", b"rubbish" * 10_000])
def test_what_follows_the_last_member_is_not_read_but_told(rubbish: bytes) -> None:
    stream = stream_of(gzip.compress(CONTENT) + rubbish)

    assert b"".join(stream.chunks()) == CONTENT
    assert stream.has_rubbish


@pytest.mark.parametrize("content", [b"a\nb\n", CONTENT])
def test_a_packed_file_that_is_cut_gives_what_was_before_the_cut(content: bytes) -> None:
    packed = gzip.compress(content, 1)
    for cut in [*range(3, len(packed), max(1, len(packed) // 50)), len(packed) - 8, len(packed) - 1]:
        found, damage = read_until_damaged(stream_of(packed[:cut]))
        assert content.startswith(found)
        assert damage == "It is cut off: the packed file ends within its content."
    assert found == content


def test_a_packed_file_that_is_broken_is_damaged() -> None:
    packed = bytearray(gzip.compress(os.urandom(200_000)))
    packed[-5] ^= 1  # in its checksum

    content, damage = read_until_damaged(stream_of(bytes(packed)))

    assert len(content) > 100_000
    assert damage.startswith("It cannot be unpacked further: ")
    assert read_until_damaged(stream_of(b"\x1f\x8b\x08\xff\xff"))[0] == b""


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.binary(max_size=20), st.integers(1, 50), st.data())
def test_any_bytes_are_read_or_damaged_whatever_the_size(
    members: list[bytes], more: bytes, size: int, data: st.DataObject
) -> None:
    packed = b"".join(map(gzip.compress, members)) + more
    stream = stream_of(packed[: data.draw(st.integers(0, len(packed)))])
    whole, content = b"".join(members), b""
    try:
        while chunk := stream.read(size):
            assert len(chunk) <= size
            content += chunk
    except Damaged:
        pass
    if stream.is_packed and not more.startswith(b"\x1f\x8b\x08"):
        assert whole.startswith(content)


def test_a_file_is_as_old_as_its_packer_says_or_else_its_file_system(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content, day in ((b"a", 2), (gzip.compress(b"a", mtime=0), 2), (gzip.compress(b"a", mtime=3 * 86_400), 4)):
        path.write_bytes(content)
        os.utime(path, (86_400, 86_400))
        with open_stream(path, MOST) as stream:
            assert stream.modified == datetime(1970, 1, day, tzinfo=UTC)
    assert stream_of(b"a").modified is None


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize(("make", "kind"), [(Path.mkdir, "a folder"), (os.mkfifo, "a pipe")])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tmp_path / "it")
    with pytest.raises(NotAFile, match=f"It is {kind}, not a file."):
        open_stream(tmp_path / "it", MOST)


def test_devices_and_what_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAFile, match="a device"):
        open_stream("/dev/null", MOST)
    make_socket(tmp_path / "socket")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("missing", "socket", "loop"):
        with pytest.raises(OSError, match=name):
            open_stream(tmp_path / name, MOST)


def test_a_link_is_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    with open_stream(tmp_path / "link", MOST) as stream:
        assert stream.head == CONTENT[:BLOCK]


def test_what_is_added_while_a_file_is_read_is_left_for_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\n")
    with open_stream(path, MOST) as stream:
        with path.open("ab") as file:
            file.write(b"b\n")
        assert b"".join(stream.chunks()) == b"a\n"


def test_standard_input_may_be_a_pipe_of_packed_bytes() -> None:
    with open_stream("-", MOST, io.BytesIO(gzip.compress(CONTENT))) as stream:
        stream.skip_to(BLOCK + 1)
        assert b"".join(stream.chunks()) == CONTENT[BLOCK + 1 :]
        assert stream.status is None


def test_a_file_of_the_kernel_without_a_size_is_read() -> None:
    with open_stream("/proc/self/status", MOST) as stream:
        assert b"Name:" in b"".join(stream.chunks())


def test_raw_deflate_is_not_taken_for_a_packed_file() -> None:
    content = zlib.compress(CONTENT)
    assert b"".join(stream_of(content).chunks()) == content
