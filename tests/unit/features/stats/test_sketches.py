"""Sketches of sets."""

from __future__ import annotations

import zlib
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.stats.sketches import REGISTERS, deflate, estimate, inflate, member_digest, sketch, unite

members = st.lists(st.text(st.characters(), max_size=5), min_size=1, max_size=40)


@given(st.data())
def test_the_registers_depend_neither_on_order_nor_batches_nor_repetitions(data: st.DataObject) -> None:
    texts = data.draw(members)
    again = data.draw(st.permutations(texts + data.draw(st.lists(st.sampled_from(texts)))))
    cut = data.draw(st.integers(1, len(again)))
    batches = [batch for batch in (again[:cut], again[cut:]) if batch]
    expected = sketch(map(member_digest, texts))
    assert reduce(unite, (sketch(map(member_digest, batch)) for batch in batches)) == expected
    assert len(expected) == REGISTERS
    assert inflate(deflate(expected)) == expected


@pytest.mark.parametrize("number", [1, 50, 1_000, 30_000])
def test_an_estimate_is_some_two_per_cent_off(number: int) -> None:
    registers = sketch(member_digest(f"member {n}") for n in range(number))
    assert estimate(registers) == pytest.approx(number, rel=0.05)
    assert len(deflate(registers)) < 3_000


def test_the_union_of_two_sets_has_the_members_of_both_once() -> None:
    one, other = (sketch(member_digest(f"{n}") for n in part) for part in (range(600), range(300, 900)))
    assert estimate(unite(one, other)) == pytest.approx(900, rel=0.05)


def test_the_registers_of_a_set_never_change() -> None:
    registers = sketch(member_digest(f"{n}") for n in range(100))
    assert zlib.crc32(registers) == 1005668472, "what is stored could not be united with what comes"


def test_a_lone_surrogate_is_a_member() -> None:
    assert len({member_digest(text) for text in ("\ud800", "\ud801", "\ufffd", "?")}) == 4


@pytest.mark.parametrize(
    "stored",
    [b"", b"x", zlib.compress(b"\0" * 4_095), zlib.compress(b"\0" * 4_097), zlib.compress(b"\0" * 10**7), deflate(b"\0" * 4_096)[:-4]],
)  # fmt: skip
def test_what_is_no_sketch_is_refused(stored: bytes) -> None:
    with pytest.raises(ValueError, match=r"This is no sketch\."):
        inflate(stored)
