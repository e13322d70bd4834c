"""The part of a file that is new: decided by what is known of files, and by as little of its content as can tell. Pure.

This is a shortcut. It decides how much is read, and never which events there are: those that come again have the identity
of those that are there. So a file is read whole wherever its content does not speak clearly for going on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

BLOCK = 64 * 1024
"""Bytes, at most, of the head and of the tail by which a file is known again."""

_NO_CLOCK: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file's place on its device, its size, and when it was changed, in nanoseconds: `modified` its content, `changed` that
    or its name and rights. It is of the moment before reading, so that a change while it is read shows later."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was read, up to `offset`. Every place is one of the unpacked bytes.

    `head` is the digest of its first `head_size` bytes, `tail` that of the `tail_size` bytes before `offset`. `loose` is where
    the last record begins, if it may still grow: a line without an end, or a record that further lines may belong to. It is
    read again, and `records` and `clock` are those of what comes before it. `finished` is True where it was read to its end,
    not to a place where an import was interrupted.
    """

    stamp: Stamp
    head: bytes
    head_size: int
    tail: bytes
    tail_size: int
    offset: int
    records: int
    packed: bool = False
    loose: int | None = None
    clock: Mapping[str, Any] = field(default_factory=lambda: _NO_CLOCK)
    finished: bool = False

    @property
    def resume(self) -> int:
        """The place at which reading goes on."""
        return self.offset if self.loose is None else self.loose


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file that is as it was when it was read. Nothing of it is read."""

    file: int


@dataclass(frozen=True, slots=True)
class Continue:
    """A file that begins with all that was read of a known one: that one, or one that was renamed, copied or packed."""

    file: int
    offset: int


@dataclass(frozen=True, slots=True)
class ReadWhole:
    """A file of which all is read. `file` is the known one at its place that begins as it does, if there is one: it was
    truncated or written anew, and what was known of it is out of date. What is known of any other one stays true."""

    file: int | None


Decision = Unchanged | Continue | ReadWhole


def decide(
    stamp: Stamp,
    packed: bool,
    head_digest_of: Callable[[int], bytes],
    tail_digest_of: Callable[[int, int], bytes],
    known: Sequence[tuple[int, FileState]],
) -> Decision:
    """Decides how much of a file is read.

    `head_digest_of(size)` is the digest of the file's first bytes, and `tail_digest_of(offset, size)` that of the bytes
    before an offset, unpacked; of a shorter file, of those that it has. Nothing is asked about a file whose stamp is known.
    Heads are asked for first, each size once, and tails in the order of their offsets, so that a packed file is unpacked
    once at most for each.

    Files of which head and tail are equal, at the same places, are taken to be equal in between.
    """
    for file, state in known:
        if state.finished and (state.stamp, state.packed) == (stamp, packed):
            return Unchanged(file)
    head_of = cache(head_digest_of)
    # All files begin like one of which nothing was read.
    alike = [(file, state) for file, state in known if state.head_size and head_of(state.head_size) == state.head]
    longest: Continue | None = None
    for file, state in sorted(alike, key=lambda one: (one[1].offset, _same_place(one[1].stamp, stamp))):
        if not state.tail_size or (not packed and state.offset > stamp.size):
            continue
        if tail_digest_of(state.offset, state.tail_size) == state.tail:
            longest = Continue(file, state.resume)
    return longest or ReadWhole(_out_of_date(stamp, {file for file, _ in alike}, known))


def _out_of_date(stamp: Stamp, alike: Collection[int], known: Sequence[tuple[int, FileState]]) -> int | None:
    for file, state in known:
        if _same_place(state.stamp, stamp) and (file in alike or not state.head_size):
            return file
    return None


def _same_place(one: Stamp, other: Stamp) -> bool:
    return (one.device, one.inode) == (other.device, other.inode)
