from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.sources import identity
from promise_pub.features.events.sources.identity import KEY_SIZE, KeyCounter, key_of

A, B = key_of("log.shell", b"a"), key_of("log.shell", b"b")


def test_a_key_is_of_the_type_and_of_the_bytes_of_the_record() -> None:
    assert len(A) == KEY_SIZE
    assert key_of("log.shell", b"a") == A
    assert len({A, B, key_of("find", b"a"), key_of("log.shel", b"la"), key_of("", b"log.shella")}) == 5


def test_a_type_may_have_a_name_of_any_length() -> None:
    assert key_of("é" * 100, b"a") != key_of("é" * 101, b"a")


def test_equal_records_are_numbered_in_their_file() -> None:
    counter = KeyCounter()

    assert [counter.number(key) for key in (A, B, A, A, B)] == [0, 0, 1, 2, 1]


def test_a_record_is_remembered_for_one_generation_at_least_and_forgotten_after_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identity, "GENERATION", 10)

    def again_after(others: int, at: int) -> int:
        """Numbers A as the record `at`, and once more after others."""
        counter = KeyCounter()
        keys = [
            *(key_of("other", b"%d" % n) for n in range(at)),
            A,
            *(key_of("more", b"%d" % n) for n in range(others)),
        ]
        for key in keys:
            counter.number(key)
        return counter.number(A)

    assert [again_after(9, at) for at in range(10)] == [1] * 10
    assert [again_after(20, at) for at in range(10)] == [0] * 10


def test_a_count_goes_on_over_any_number_of_generations_while_records_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "GENERATION", 3)
    counter = KeyCounter()

    assert [counter.number(A) for _ in range(20)] == [*range(20)]


@given(st.lists(st.sampled_from([bytes([n]) * KEY_SIZE for n in range(9)]), max_size=60), st.data())
def test_a_file_that_is_read_in_parts_is_numbered_as_one_that_is_read_at_once(
    keys: list[bytes], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity, "GENERATION", 7)
        whole = KeyCounter()
        at_once = [whole.number(key) for key in keys]
        parted, numbers = KeyCounter(), list[int]()
        for key in keys:
            if data.draw(st.booleans()):
                parted = KeyCounter.load(parted.dump())
            numbers.append(parted.number(key))

    assert numbers == at_once
    assert parted.dump() == whole.dump()


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 27, 29])
def test_counts_that_are_cut_off_are_refused(cut: int) -> None:
    counter = KeyCounter()
    counter.number(A)
    counter.number(B)
    dumped = counter.dump()

    with pytest.raises(ValueError, match="cut off"):
        KeyCounter.load(dumped[:cut])
    with pytest.raises(ValueError, match="cut off"):
        KeyCounter.load(dumped + b"x")
