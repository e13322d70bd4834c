"""The file's mails on their way to the database, which compares them with employees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from promise_pub.delivery.evidence.claims import Claim
from promise_pub.delivery.evidence.row_map import Claimed, RowMap
from promise_pub.delivery.ports import MailRow
from promise_pub.parameters.columns import NAME_AND_MAIL
from promise_pub.records import MAX_EMPLOYEE_TEXT, Batch, Row


def received_rows(rows: RowMap, batch: Batch) -> Iterator[Row]:
    """Yields the rows of a batch that the consumer may have received, as far as it says."""
    if not batch.rows:
        return
    first = batch.rows[0].number
    for piece in rows.between(first, batch.rows[-1].number):
        if isinstance(piece.known, Claimed) and piece.known.claim is not Claim.MISSING:
            yield from batch.rows[piece.first - first : piece.last - first + 1]


class MailRows:
    """The rows of a file as the look-up takes them.

    `too_long` counts those after row `after` that employees cannot hold. `claims` are what the rows' cells stand for.
    """

    def __init__(self, rows: RowMap, columns: Sequence[str], after: int) -> None:
        self.too_long = 0
        self.claims: list[Claimed] = []
        self._rows = rows
        self._after = after
        self._mail = columns.index("mail") + 1  # in a row, which starts with its number
        self._limited = [place for place, column in enumerate(columns, 1) if column in NAME_AND_MAIL]

    async def read(self, batches: AsyncIterator[Batch]) -> AsyncIterator[MailRow]:
        """Yields a mail for each row of batches with lines."""
        async for batch in batches:
            if not batch.rows:
                continue
            first = batch.rows[0].number
            for piece in self._rows.between(first, batch.rows[-1].number):
                cell = self._cell(piece.known)
                for at in range(piece.first - first, piece.last - first + 1):
                    row, line = batch.rows[at], batch.lines[at]
                    earlier = row.number <= self._after
                    if any(len(row[place]) > MAX_EMPLOYEE_TEXT for place in self._limited):
                        self.too_long += not earlier
                        yield (line, None, earlier, cell)
                    else:
                        yield (line, row[self._mail], earlier, cell)

    def _cell(self, known: object) -> int | None:
        """Returns the place of a claim among those seen; None for rows that the consumer did not receive."""
        if not isinstance(known, Claimed) or known.claim is Claim.MISSING:
            return None
        if known not in self.claims:
            self.claims.append(known)
        return self.claims.index(known)
