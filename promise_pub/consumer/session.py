"""One session's counts and rules. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from promise_pub.consumer.distinct import DistinctIds
from promise_pub.consumer.rows import RowValues, parse
from promise_pub.delivery.evidence.digest import MODULUS, fingerprint, written
from promise_pub.times import NOT_YET, rfc3339

RANGES = 10_000  # of row numbers that are told; with more gaps than that they are not


@dataclass(slots=True)
class Session:
    """What a publisher negotiated, and what became of its messages.

    `received` counts messages. Each one ends as `saved`, as `duplicates` (its message id, its row or its mail was
    there before) or as `invalid` (not a usable row), so received = saved + duplicates + invalid whenever nothing is
    `in_hand`. A message published twice with one id is received twice and counts as a duplicate once. A message the
    broker hands over *again*, because the connection was lost before the ack reached it, is the same message and not
    counted again; without a message id it cannot be told from a new one and is.
    """

    uuid: str
    host: str
    started: datetime
    ended: datetime | None = None
    received: int = 0
    saved: int = 0
    duplicates: int = 0
    invalid: int = 0
    distinct: int = 0
    """Distinct rows received: every message id once, and every usable row that came without one."""
    sent: int | None = None
    """How many distinct rows the publisher says there are; None: not told."""
    in_hand: list[RowValues] = field(default_factory=list)
    """Received and not committed yet."""
    _ids: DistinctIds = field(default_factory=DistinctIds)
    _digest: int = 0  # over the messages that `distinct` counts, and foreign ones

    def receive(self, message_id: str | None, body: bytes, *, redelivered: bool) -> None:
        """Counts one delivery, and takes its row in hand when it is a usable one that was not there before."""
        if message_id and not self._ids.add(message_id):
            if not redelivered:
                self.received += 1
                self.duplicates += 1
            return
        self.received += 1
        self._digest = (self._digest + fingerprint((message_id or "").encode(), body)) % MODULUS
        row = parse(body)
        if row is not None:
            self.in_hand.append(row)
        else:
            self.invalid += 1
        # A stranger's garbage without an id is not one of the rows the publisher counted.
        self.distinct += row is not None or bool(message_id)

    def take(self) -> list[RowValues]:
        """The rows in hand, to be saved: follow with `settle`, or `give_back` when that failed."""
        rows, self.in_hand = self.in_hand, []
        return rows

    def give_back(self, rows: Sequence[RowValues]) -> None:
        self.in_hand[:0] = rows

    def settle(self, rows: int, *, saved: int, refused: int) -> None:
        """So many rows were committed: those neither saved nor refused by the database were there before."""
        self.saved += saved
        self.invalid += refused
        self.duplicates += rows - saved - refused

    @property
    def complete(self) -> bool:
        """Every row the publisher spoke of has been received."""
        return self.sent is not None and self.distinct >= self.sent

    def as_json(self) -> dict[str, Any]:
        return {
            "uuid": self.uuid,
            "started": rfc3339(self.started, "auto"),
            "ended": rfc3339(self.ended, "auto") if self.ended else NOT_YET,
            "checksum": self.received,
            "saved": self.saved,
            "duplicates": self.duplicates,
            "invalid": self.invalid,
            "digest": written(self._digest),
            **({"rows": rows} if (rows := self._ids.rows(RANGES)) is not None else {}),
            "host": self.host,
        }
