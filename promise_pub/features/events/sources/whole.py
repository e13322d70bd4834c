"""Records of files that are read as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from promise_pub.features.events.sources.finding import Judged, failing_as, require_one
from promise_pub.features.events.sources.shown import UntilDamaged, judge_shown
from promise_pub.sources import Damaged, Given, Whole, WrongType

R = TypeVar("R")


def read_whole(source: Whole[R], content: bytes, given: Given) -> Iterator[Judged]:
    """Yields the records of a whole file, whose positions count from 0. Raises WrongType, and Damaged after all records that
    came before the damage."""
    records = UntilDamaged(_records(source, content, given))
    yield from require_one((judge_shown(source, one, given, number) for number, one in enumerate(records)), source)
    records.raise_damage()


def _records(source: Whole[R], content: bytes, given: Given) -> Iterator[R]:
    failure: type[Exception] = WrongType
    with failing_as(WrongType, Damaged):
        records = source.records(content, given)
    while True:
        with failing_as(failure, WrongType, Damaged):
            try:
                record = next(records)
            except StopIteration:
                return
        yield record
        failure = Damaged
