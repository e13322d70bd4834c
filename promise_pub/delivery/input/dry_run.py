"""Dry runs: a file is read to its end and judged, without a run, a message, a turn in the queue or a database."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.duplicates import RepeatCounter
from promise_pub.delivery.input.reader import read_batches
from promise_pub.delivery.input.validation import REJECTS_SHOWN, nothing_in, with_columns
from promise_pub.errors import NoUsableRow, TooManyWaiting
from promise_pub.parameters import FILE_PARAMETERS, Parameters
from promise_pub.records import Rejected, StoredFile

MOST_AT_ONCE = 2  # each takes up to 20 MB, and the event loop as a run does
REJECTS_TOLD = 50


@dataclass(frozen=True, slots=True)
class DryRun:
    """Counts of what a run of the file would publish and reject, and the first rejected records."""

    file: StoredFile
    parameters: Parameters
    read: int
    rejected: int
    duplicates: int
    """Rows that repeat an earlier one's mail, or all its fields where there is no mail."""
    first_rejected: tuple[Rejected, ...]

    @property
    def accepted(self) -> int:
        return self.read - self.rejected

    @property
    def duplicates_by(self) -> str:
        return "mail" if "mail" in self.parameters.columns else "row"

    def as_json(self) -> dict[str, Any]:
        told = self.parameters.as_json()
        return {
            "dry_run": True,
            "file": asdict(self.file),
            **{one.name: told[one.name] for one in FILE_PARAMETERS},
            "rows": {
                "read": self.read,
                "accepted": self.accepted,
                "rejected": self.rejected,
                "duplicates": self.duplicates,
            },
            "duplicates_by": self.duplicates_by,
            "rejected": [one._asdict() for one in self.first_rejected],
        }


class DryRuns:
    """Dry runs of this process, a few at a time."""

    def __init__(self) -> None:
        self._running = 0

    def admit(self) -> None:
        """Raises TooManyWaiting while there is no room for another."""
        if self._running >= MOST_AT_ONCE:
            raise TooManyWaiting(f"{self._running} dry runs are already running: try again later.")

    async def carry_out(self, path: Path, file: StoredFile, parameters: Parameters) -> DryRun:
        """Reads the whole file.

        Raises TooManyWaiting, NotCsv, BadHeader, NoUsableRow, DiskFull or StoredFileError.
        """
        self.admit()
        self._running += 1
        try:
            return await _judged(path, file, await with_columns(path, parameters))
        finally:
            self._running -= 1


async def _judged(path: Path, file: StoredFile, parameters: Parameters) -> DryRun:
    columns, dialect = parameters.columns, Dialect.of(parameters)
    accepted = rejected = 0
    first: list[Rejected] = []
    async with (
        RepeatCounter(columns.index("mail") if "mail" in columns else None) as repeats,
        aclosing(read_batches(path, dialect)) as batches,
    ):
        async for batch in batches:
            await repeats.add(batch.rows)
            accepted += len(batch.rows)
            rejected += len(batch.rejected)
            first += batch.rejected[: REJECTS_TOLD - len(first)]
        if not accepted:
            if rejected:
                raise NoUsableRow(None, first[:REJECTS_SHOWN])
            raise nothing_in(header=dialect.header)
        duplicates = await repeats.count()
    return DryRun(file, parameters, accepted + rejected, rejected, duplicates, tuple(first))
