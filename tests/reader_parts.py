"""A reader fed by hand: each chunk gives one batch, however many the reader makes of it."""

from __future__ import annotations

from promise_pub.delivery.input.reader import Reader
from promise_pub.records import Batch


class FedReader(Reader):
    """Reader whose batches are merged, and whose memory is seen."""

    @property
    def buffered(self) -> int:
        """Number of bytes that are held."""
        return len(self._buffer) + len(self._held)

    def feed(self, chunk: bytes) -> Batch:
        """Returns every record that is complete by now."""
        return self._merged(chunk, last=False)

    def finish(self) -> Batch:
        """Returns the rest; a last line without its line end counts."""
        return self._merged(b"", last=True)

    def _merged(self, chunk: bytes, *, last: bool) -> Batch:
        batches = list(self.batches(chunk, last=last))
        rows = [row for batch in batches for row in batch.rows]
        rejected = [one for batch in batches for one in batch.rejected]
        lines = [line for batch in batches for line in batch.lines]
        return Batch(rows, rejected, batches[-1].offset, batches[-1].line, lines or ())
