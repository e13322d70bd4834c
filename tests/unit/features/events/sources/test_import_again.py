"""Files that are changed in any way between imports: the events are those of their union, with the shortcut and without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.features.events.sources.continuing import (
    Continue,
    Decision,
    FileState,
    ReadWhole,
    Stamp,
    decide,
)
from promise_pub.features.events.sources.identity import KeyCounter, key_of

Head = Callable[[int], bytes]
Tail = Callable[[int, int], bytes]
Decider = Callable[[Stamp, bool, Head, Tail, Sequence[tuple[int, FileState]]], Decision]

PATHS = ["log", "log.1", "copy"]


@dataclass
class File:
    inode: int
    content: bytes
    changed: int
    packed: bool = False

    @property
    def stamp(self) -> Stamp:
        # A packed file has a size that says nothing about its content.
        size = 20 + len(self.content) // 3 if self.packed else len(self.content)
        return Stamp(1, self.inode, size, self.changed, self.changed)


class Disk:
    """Files in memory. An inode that is free is given to the next new file, as file systems do."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self._clock = count(1)

    def write(self, path: str, content: bytes) -> None:
        """Changes a file under its inode, or makes a new one."""
        if path in self.files:
            file = self.files[path]
            file.content, file.changed = content, next(self._clock)
        else:
            self.files[path] = File(self._free_inode(), content, next(self._clock))

    def rename(self, path: str, to: str) -> None:
        if path != to:
            self.files[to] = self.files.pop(path)
            self.files[to].changed = next(self._clock)

    def pack(self, path: str) -> None:
        """Packs a file, or unpacks it."""
        old = self.files[path]
        self.files[path] = File(self._free_inode(), old.content, next(self._clock), not old.packed)

    def _free_inode(self) -> int:
        taken = {file.inode for file in self.files.values()}
        return next(inode for inode in count(1) if inode not in taken)


@dataclass
class Timeline:
    """Imports of files, in the way in which an importer has to do it, with blocks of a size and with the shortcut or not."""

    block: int
    shortcut: Decider | None
    events: set[tuple[bytes, int]] = field(default_factory=set)
    known: dict[int, tuple[FileState, bytes]] = field(default_factory=dict)
    read: int = 0

    def take(self, file: File, limit: int) -> None:
        """Imports a file up to a number of records in it."""
        decision: Decision = ReadWhole(None)
        if self.shortcut:
            known = [(number, state) for number, (state, _) in self.known.items()]
            content = file.content
            decision = self.shortcut(
                file.stamp,
                file.packed,
                lambda size: digest(content[:size]),
                lambda offset, size: digest(content[max(0, offset - size) : offset]),
                known,
            )
        if isinstance(decision, Continue):
            state, counts = self.known[decision.file]
            moved = (state.stamp.device, state.stamp.inode) != (1, file.inode)
            self._go_on(file, limit, None if moved else decision.file, decision.offset, state.records, counts)
        elif isinstance(decision, ReadWhole):
            self._go_on(file, limit, decision.file, 0, 0, KeyCounter().dump())

    def _go_on(self, file: File, limit: int, number: int | None, offset: int, records: int, counts: bytes) -> None:
        counter, loose = KeyCounter.load(counts), None
        lines = file.content[offset:].splitlines(keepends=True)
        for line in lines[: max(0, limit - records)]:
            if not line.endswith(b"\n"):
                loose, counts = offset, counter.dump()
            record = line.removesuffix(b"\n")
            self.events.add((record, counter.number(key_of("log", record))))
            records += line.endswith(b"\n")
            offset += len(line)
            self.read += len(line)
        if loose is None:
            counts = counter.dump()
        size = min(self.block, offset)
        tail = file.content[offset - size : offset]
        state = FileState(
            file.stamp,
            digest(file.content[:size]),
            size,
            digest(tail),
            size,
            offset,
            records,
            file.packed,
            loose,
            finished=offset == len(file.content),
        )
        self.known[max(self.known, default=0) + 1 if number is None else number] = state, counts


def digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def serial(number: int) -> bytes:
    """Returns a record that no other is equal to, as those with a time are."""
    return b"%06d\n" % number


ALL = 10_000  # records
Step = tuple[str, str, str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "read", "read", "rename", "pack", "truncate", "cut", "copy", "remove"]),
        st.sampled_from(PATHS),
        st.sampled_from(PATHS),
        st.integers(0, 40),
        st.sampled_from([1, 3, ALL, ALL]),
    ),
    min_size=15,
    max_size=50,
)


def check(steps: Sequence[Step], block: int, record: Callable[[int], bytes], shortcut: Decider = decide) -> None:
    """Carries out steps, and asserts after each import that both timelines have the union by maximum of what it read."""
    disk, most = Disk(), Counter[bytes]()
    quick, slow = Timeline(block, shortcut), Timeline(block, None)
    made = count()
    for step, path, other, number, limit in [*steps, *(("read", path, path, 0, ALL) for path in PATHS)]:
        if step == "append":
            file = disk.files.get(path)
            if not file or not file.packed:
                disk.write(path, (file.content if file else b"") + record(next(made)) * (number % 4))
        elif path in disk.files:
            if step == "read":
                lines = disk.files[path].content.split(b"\n")
                for line, times in Counter((lines if lines[-1] else lines[:-1])[:limit]).items():
                    most[line] = max(most[line], times)
                quick.take(disk.files[path], limit)
                slow.take(disk.files[path], limit)
                assert quick.events == slow.events == {(line, nth) for line in most for nth in range(most[line])}
            else:
                change(disk, step, path, other, number)
    assert quick.read <= slow.read


def change(disk: Disk, step: str, path: str, other: str, number: int) -> None:
    content = disk.files[path].content
    if step == "rename":
        disk.rename(path, other)
    elif step == "pack":
        disk.pack(path)
    elif step == "remove":
        del disk.files[path]
    elif step == "truncate" and not disk.files[path].packed:
        disk.write(path, content[:number])
    elif step == "cut" and not disk.files[path].packed:
        disk.write(path, content[number:])
    elif step == "copy" and other in disk.files and disk.files[other].packed == disk.files[path].packed:
        disk.write(other, content)
    elif step == "copy" and other not in disk.files and not disk.files[path].packed:
        disk.write(other, content)


@settings(max_examples=100)
@given(STEPS, st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"ab"]), min_size=1))
def test_files_of_equal_records_have_the_events_of_their_union_where_blocks_hold_them(
    steps: list[Step], records: list[bytes]
) -> None:
    check(steps, block=1 << 16, record=lambda number: records[number % len(records)])


@settings(max_examples=100)
@given(STEPS, st.sampled_from([16, 24, 64]))
def test_files_of_records_with_their_times_have_the_events_of_their_union_though_blocks_are_small(
    steps: list[Step], block: int
) -> None:
    check(steps, block, serial)


def test_the_shortcut_reads_what_is_new_alone() -> None:
    disk, timeline = Disk(), Timeline(16, decide)

    def take(path: str) -> int:
        before = timeline.read
        timeline.take(disk.files[path], ALL)
        return timeline.read - before

    disk.write("log", b"".join(b"%06d\n" % number for number in range(50)))
    read = [take("log"), take("log")]
    disk.write("log", disk.files["log"].content + b"000050\nhalf")
    read.append(take("log"))
    disk.write("log", disk.files["log"].content + b" a line\n")
    read.append(take("log"))
    disk.rename("log", "log.1")
    disk.write("log", b"new\n")
    disk.pack("log.1")
    read += take("log"), take("log.1"), take("log.1")

    assert read == [350, 0, 11, 12, 4, 0, 0]
    assert len(timeline.events) == 54


def test_a_shortcut_that_looks_at_heads_alone_would_be_seen() -> None:
    def careless(
        stamp: Stamp, packed: bool, head: Head, tail: Tail, known: Sequence[tuple[int, FileState]]
    ) -> Decision:
        tails = {state.offset: state.tail for _, state in known}
        return decide(stamp, packed, head, lambda offset, size: tails[offset], known)

    steps = [("append", "log", "log", 3, ALL)] * 2 + [("read", "log", "log", 0, ALL)]
    steps += [("truncate", "log", "log", 21, ALL), ("append", "log", "log", 3, ALL)]

    check(steps, 16, serial)
    with pytest.raises(AssertionError):
        check(steps, 16, serial, careless)
