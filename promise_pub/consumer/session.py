"""Counts one session's messages. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from promise_pub.consumer.distinct import DistinctIds, RowList
from promise_pub.consumer.rows import RowValues, parse
from promise_pub.delivery.consumer_client.answers import MAX_RANGES, NOT_YET
from promise_pub.delivery.evidence.digest import MODULUS, fingerprint, written
from promise_pub.times import rfc3339


@dataclass(slots=True)
class ConsumerSession:
    """A session with a publisher, and the counts of its messages.

    `received` counts messages. Each one ends as `saved`, as `duplicates` (its message id, its row or its mail existed
    before) or as `invalid` (not a usable row), so received = saved + duplicates + invalid whenever nothing is
    `pending`. A message published twice with one id is received twice and counts as a duplicate once. A message that
    the broker delivers *again*, because the connection was lost before the ack reached it, is the same message and not
    counted again; without a message id it looks like a new one, and is counted.
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
    """Distinct rows that the publisher says it has sent; None until it does."""
    pending: list[RowValues] = field(default_factory=list)
    """Rows received and not committed yet."""
    _ids: DistinctIds = field(default_factory=DistinctIds)
    # Over the messages that `distinct` counts, and foreign ones.
    _digest: int = 0
    # Distinct rows that were received and not saved: a message received again under a known id is in neither.
    _duplicate_rows: RowList = field(default_factory=lambda: RowList(MAX_RANGES))
    _invalid_rows: RowList = field(default_factory=lambda: RowList(MAX_RANGES))

    def receive(self, message_id: str | None, body: bytes, *, redelivered: bool) -> None:
        """Counts one delivery; its row becomes pending, unless it is unusable or was received before."""
        number = self._ids.add(message_id) if message_id else 0
        if number is None:
            if not redelivered:
                self.received += 1
                self.duplicates += 1
            return
        self.received += 1
        self._digest = (self._digest + fingerprint((message_id or "").encode(), body)) % MODULUS
        row = parse(body, number)
        if row is not None:
            self.pending.append(row)
        else:
            self.invalid += 1
            self._invalid_rows.add((number,))
        # Garbage without an id comes from others: it is not among the rows that the publisher counted.
        self.distinct += row is not None or bool(message_id)

    def take_pending(self) -> list[RowValues]:
        """Returns the pending rows, to be saved. Call `settle` afterwards, or `give_back` when that failed."""
        rows, self.pending = self.pending, []
        return rows

    def give_back(self, rows: Sequence[RowValues]) -> None:
        self.pending[:0] = rows

    def settle(
        self, rows: int, saved: int, existing: Sequence[RowValues] | None = (), refused: Sequence[RowValues] = ()
    ) -> None:
        """Counts rows that were committed: those neither saved nor refused by the database existed before.

        `existing` is None where nothing shows which these are.
        """
        self.saved += saved
        self.invalid += len(refused)
        self.duplicates += rows - saved - len(refused)
        self._invalid_rows.add(row.number for row in refused)
        if existing is None:
            self._duplicate_rows.give_up()
        else:
            self._duplicate_rows.add(row.number for row in existing)

    @property
    def complete(self) -> bool:
        """True once every row that the publisher has sent is received."""
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
            **self._row_numbers(),
            "host": self.host,
        }

    def _row_numbers(self) -> dict[str, str]:
        """Returns the row numbers received and not saved as ranges, without those that cannot be told."""
        if not self._ids.of_one_run:
            return {}
        told = {
            "rows": self._ids.rows(MAX_RANGES),
            "duplicate_rows": self._duplicate_rows.text,
            "invalid_rows": self._invalid_rows.text,
        }
        return {key: ranges for key, ranges in told.items() if ranges is not None}
