"""Records that are no run of bytes of their file: JSON shows them, and iterators that end at damage yield them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from sqlite3 import Row
from typing import Any, Generic, TypeVar

from promise_pub.features.events.sources.finding import Judged, Rejected, judge, reject
from promise_pub.features.events.sources.identity import key_of
from promise_pub.sources import Damaged, Found, Given, SourceType

R = TypeVar("R")
T = TypeVar("T")


class UntilDamaged(Generic[T]):
    """The values of an iterator before it finds damage, which is kept until all that came before it has been taken."""

    def __init__(self, whole: Iterable[T]) -> None:
        self._whole = whole
        self._damage: Damaged | None = None

    def __iter__(self) -> Iterator[T]:
        try:
            yield from self._whole
        except Damaged as damage:
            self._damage = damage

    def raise_damage(self) -> None:
        """Raises Damaged where that was found."""
        if self._damage:
            raise self._damage


def judge_shown(source: SourceType[R], record: R, given: Given, position: int, line: int | None = None) -> Judged:
    """Returns what a type makes of a record that no bytes of the file show, but JSON does."""
    outcome = judge(source, record, given, b"")
    shown = b""
    if not isinstance(outcome, Found) or outcome.identity is None:
        shown = _shown(record)
    if isinstance(outcome, Rejected):
        outcome = reject(outcome.reason, shown)
    own = outcome.identity if isinstance(outcome, Found) else None
    key = key_of(source.name, shown if own is None else own)
    return Judged(position, position + 1, position + 1 if line is None else line, key, outcome, True)


def _shown(record: object) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False, default=_plain).encode(errors="replace")
    except Exception:  # noqa: BLE001  what cannot be shown, for whatever reason, is rejected like any other
        return type(record).__name__.encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Row):
        return [*value]
    return value.hex() if isinstance(value, bytes) else str(value)
