"""The arithmetic of the disk: what has to go, what may come, and how much of it before the next sweep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.visits.disk_quota import DiskQuota, DiskUse, Room

QUOTA = DiskQuota(1600)
EMPTY = DiskUse(size=0, kept=0, unknown=0, dead=0)
BYTES = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("use", "excess", "of_unknown"),
    [
        (EMPTY, 0, 0),
        (DiskUse(1400, 1200, 300, 0), 0, 0),
        (DiskUse(1600, 1250, 300, 100), 50, 0),
        (DiskUse(1600, 1200, 350, 100), 0, 50),
        (DiskUse(9000, 900, 300, 5000), 0, 0),  # what is deleted already does not go once more
    ],
)
def test_what_is_beyond_three_fourths_goes_and_of_unknown_visitors_beyond_three_sixteenths(
    use: DiskUse, excess: int, of_unknown: int
) -> None:
    assert (QUOTA.excess(use), QUOTA.excess_of_unknown(use)) == (excess, of_unknown)


@pytest.mark.parametrize(
    ("use", "room", "of_unknown"),
    [
        (EMPTY, 1600, 400),
        (DiskUse(1500, 1200, 300, 0), 200, 100),  # 200 are free inside, and the disk has 100 more
        (DiskUse(1500, 1200, 300, 200), 100, 100),  # what is deleted is not free yet, and the disk has 100
        (DiskUse(1600, 1200, 400, 100), 100, 0),
        (DiskUse(1600, 1200, 500, 200), 0, 0),
        (DiskUse(9000, 1200, 100, 0), 200, 300),  # the quota was larger, or there was none
        (DiskUse(9000, 1200, 100, 7000), 0, 300),
    ],
)
def test_what_may_come_has_room_on_the_disk_or_inside(use: DiskUse, room: int, of_unknown: int) -> None:
    assert (QUOTA.room(use), QUOTA.room_for_unknown(use)) == (room, of_unknown)


@given(st.builds(DiskUse, size=BYTES, kept=BYTES, unknown=BYTES, dead=BYTES))
def test_an_import_has_room_for_what_no_sweep_deletes(use: DiskUse) -> None:
    room = QUOTA.room_for_import(use)
    assert 0 <= room <= QUOTA.room(use)
    after = DiskUse(use.size + room, use.kept + room, use.unknown, use.dead)
    assert not room or QUOTA.excess(after) == 0


async def test_a_step_may_come_before_anything_is_measured_and_half_of_it_calls_for_a_sweep() -> None:
    room = Room(QUOTA)
    assert room.take(50, known=True) and not room.is_low.is_set()
    assert room.take(1, known=False) and room.is_low.is_set()
    assert not room.take(50, known=True)
    assert room.take(49, known=True) and not room.take(1, known=True)
    assert (room.taken, room.refused) == (100, 2)


async def test_unknown_visitors_take_no_more_than_their_part() -> None:
    room = Room(QUOTA)
    assert room.take(25, known=False) and not room.take(1, known=False)
    assert room.is_low.is_set()
    assert room.take(75, known=True) and not room.take(1, known=True)
    room.refill(DiskUse(size=500, kept=500, unknown=380, dead=0), room.taken)
    assert room.take(20, known=False) and not room.take(1, known=False)
    assert room.take(80, known=True) and not room.take(1, known=True)
    room.refill(DiskUse(size=1560, kept=1300, unknown=300, dead=200), room.taken)
    assert room.take(10, known=False) and not room.take(1, known=False)
    assert room.take(30, known=True) and not room.take(1, known=True)


async def test_what_was_taken_during_a_sweep_is_not_there_after_it() -> None:
    room = Room(QUOTA)
    assert room.take(30, known=True)
    taken = room.taken
    assert room.take(60, known=True)
    room.refill(EMPTY, taken)
    assert not room.is_low.is_set() and room.refused == 0
    assert not room.take(41, known=True) and room.take(40, known=True)
