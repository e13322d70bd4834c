from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import NoReturn

import pytest

from promise_pub.features.events.sources.continuing import (
    Continue,
    Decision,
    FileState,
    ReadWhole,
    Stamp,
    Unchanged,
    decide,
)

BLOCK = 16  # bytes of a head or a tail, here
OLD = b"".join(b"%04d\n" % number for number in range(20))
STAMP = Stamp(device=1, inode=5, size=100, modified=1_000, changed=1_000)
LATER = replace(STAMP, modified=2_000, changed=2_000)


def digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def state_of(content: bytes, stamp: Stamp = STAMP, packed: bool = False, loose: int | None = None) -> FileState:
    """Returns what is known of a file that was read to its end."""
    size = min(BLOCK, len(content))
    head, tail = content[:size], content[len(content) - size :]
    records = content.count(b"\n")
    return FileState(stamp, digest(head), size, digest(tail), size, len(content), records, packed, loose, finished=True)


KNOWN = [(7, state_of(OLD))]


def decided(
    content: bytes,
    stamp: Stamp = LATER,
    packed: bool = False,
    known: Sequence[tuple[int, FileState]] = KNOWN,
    asked: list[tuple[int, ...]] | None = None,
) -> Decision:
    """Decides about a file of this content. `asked` gets what it was asked for, in order."""
    log = [] if asked is None else asked

    def head(size: int) -> bytes:
        log.append((size,))
        return digest(content[:size])

    def tail(offset: int, size: int) -> bytes:
        log.append((offset, size))
        return digest(content[max(offset - size, 0) : offset])

    stamp = stamp if packed else replace(stamp, size=len(content))
    return decide(stamp, packed, head, tail, known)


def refuse(*asked: int) -> NoReturn:
    raise AssertionError(f"{asked} was read")


def test_nothing_is_read_of_a_file_whose_stamp_is_known() -> None:
    assert decide(STAMP, False, refuse, refuse, KNOWN) == Unchanged(7)


def test_nothing_is_read_of_a_file_where_none_is_known() -> None:
    assert decide(STAMP, False, refuse, refuse, []) == ReadWhole(None)


@pytest.mark.parametrize("other", ["device", "inode", "size", "modified", "changed"])
def test_each_part_of_the_stamp_tells_a_change(other: str) -> None:
    stamp = replace(STAMP, **{other: 3_000})

    assert decide(stamp, False, lambda _: b"another", refuse, KNOWN) == ReadWhole(None)


def test_a_file_that_was_read_in_part_goes_on_there_though_it_is_unchanged() -> None:
    part = replace(state_of(OLD[:50]), stamp=STAMP, finished=False)

    assert decided(OLD, STAMP, known=[(7, part)]) == Continue(7, 50)


OTHER_INODE = replace(LATER, inode=6)
OTHER_MIDDLE = OLD[:40] + b"changed!!\n" + OLD[50:]


@pytest.mark.parametrize(
    ("what", "content", "stamp", "packed", "decision"),
    [
        ("grown", OLD + b"0020\n", LATER, False, Continue(7, 100)),
        ("touched", OLD, LATER, False, Continue(7, 100)),
        ("renamed", OLD, OTHER_INODE, False, Continue(7, 100)),
        ("copied to another device, and grown", OLD + b"x\n", replace(LATER, device=2), False, Continue(7, 100)),
        ("packed", OLD, replace(OTHER_INODE, size=30), True, Continue(7, 100)),
        ("packed after it had grown", OLD + b"x\n", replace(OTHER_INODE, size=30), True, Continue(7, 100)),
        ("rotated: a new one at its path", b"new\n", OTHER_INODE, False, ReadWhole(None)),
        ("rotated: the new one has the inode of the old", b"new\n" * 50, LATER, False, ReadWhole(None)),
        ("truncated", OLD[:50], LATER, False, ReadWhole(7)),
        ("truncated, and grown to more than it was", OLD[:50] + b"new\n" * 20, LATER, False, ReadWhole(7)),
        ("truncated to nothing", b"", LATER, False, ReadWhole(None)),
        ("cut at the front", OLD[20:], LATER, False, ReadWhole(None)),
        ("cut at the front, and grown to more than it was", OLD[20:] + b"new\n" * 9, LATER, False, ReadWhole(None)),
        ("replaced under its inode", b"x" * 100, LATER, False, ReadWhole(None)),
        ("another with the same head", OLD[:16] + b"y" * 100, OTHER_INODE, False, ReadWhole(None)),
        ("another with the same head, packed", OLD[:16] + b"y" * 100, OTHER_INODE, True, ReadWhole(None)),
        ("another with the same head that is short", OLD[:16], OTHER_INODE, False, ReadWhole(None)),
        ("another with the same head that is short, packed", OLD[:16], OTHER_INODE, True, ReadWhole(None)),
        ("another with the same tail at its place", b"y" * 16 + OLD[16:], OTHER_INODE, False, ReadWhole(None)),
        ("another with the same tail elsewhere", OLD[:16] + b"y" * 9 + OLD[16:], OTHER_INODE, False, ReadWhole(None)),
        ("equal but in between, which nothing tells", OTHER_MIDDLE, LATER, False, Continue(7, 100)),
    ],
)
def test_a_file_goes_on_only_where_its_head_and_its_tail_are_those_of_a_known_one(
    what: str, content: bytes, stamp: Stamp, packed: bool, decision: Decision
) -> None:
    assert decided(content, stamp, packed) == decision, what


def test_a_packed_file_that_was_unpacked_goes_on() -> None:
    known = [(7, state_of(OLD, replace(STAMP, size=30), packed=True))]

    assert decided(OLD, OTHER_INODE, known=known) == Continue(7, 100)


def test_a_stamp_that_is_known_of_a_packed_file_says_nothing_about_one_that_is_not() -> None:
    known = [(7, state_of(OLD, packed=True))]

    assert decided(b"x" * 100, STAMP, known=known) == ReadWhole(None)


def test_the_longest_of_those_that_a_file_begins_with_is_gone_on_with() -> None:
    known = [(1, state_of(OLD[:80])), (2, state_of(OLD)), (3, state_of(OLD[:40]))]

    assert decided(OLD + b"new\n", known=known) == Continue(2, 100)
    assert decided(OLD[:90], known=known) == Continue(1, 80)


def test_of_two_that_are_as_long_the_one_at_its_place_is_gone_on_with() -> None:
    known = [(1, state_of(OLD)), (2, state_of(OLD, OTHER_INODE))]

    assert decided(OLD + b"new\n", LATER, known=known) == Continue(1, 100)
    assert decided(OLD + b"new\n", replace(OTHER_INODE, changed=3_000), known=known) == Continue(2, 100)


def test_a_last_record_that_may_grow_is_read_again() -> None:
    known = [(7, state_of(OLD + b"half", loose=100))]

    assert decided(OLD + b"half", known=known) == Continue(7, 100)
    assert decided(OLD + b"half a line\n", known=known) == Continue(7, 100)
    assert decided(OLD + b"other\n", known=known) == ReadWhole(7)


def test_a_file_that_was_empty_says_nothing_about_others() -> None:
    empty = [(7, state_of(b""))]

    assert decided(OLD, OTHER_INODE, known=empty) == ReadWhole(None)
    assert decided(OLD, LATER, known=empty) == ReadWhole(7)


def test_a_head_alone_is_never_enough() -> None:
    headed = replace(state_of(OLD), tail=digest(b""), tail_size=0)

    assert decided(OLD + b"new\n", known=[(7, headed)]) == ReadWhole(7)


def test_each_head_is_asked_for_once_and_tails_of_those_alike_in_the_order_of_the_file() -> None:
    asked: list[tuple[int, ...]] = []
    others = [(number, state_of(b"other %d" % number * 9)) for number in range(10, 20)]
    known = [(1, state_of(OLD)), *others, (2, state_of(OLD[:40])), (3, state_of(OLD[:80]))]

    assert decided(OLD[:90], OTHER_INODE, packed=True, known=known, asked=asked) == Continue(3, 80)
    assert asked == [(16,), (40, 16), (80, 16), (100, 16)]


def test_no_tail_is_asked_for_beyond_the_end_of_a_file_that_is_not_packed() -> None:
    asked: list[tuple[int, ...]] = []

    assert decided(OLD[:90], asked=asked) == ReadWhole(7)
    assert asked == [(16,)]
