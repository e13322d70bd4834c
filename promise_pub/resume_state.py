"""The position from which a run is resumed. The ledger keeps it with each run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A position where reading a file can continue: a record boundary, and what became of the rows before it.

    `offset` in bytes, `line` from 1, `row` the last accepted row before; `digest` over the session's rows up to it.
    """

    row: int = 0
    offset: int = 0
    line: int = 1
    read: int = 0
    rejected: int = 0
    digest: str = ""
    returned_rows: str = ""
    nacked_rows: str = ""


@dataclass(frozen=True, slots=True)
class ResumeState:
    """All that is needed to continue a run in another session or process. The session's rows are those after `after`.

    `employees` and `highest_id` are of the employees table before the session's first row, `resent` is of the run.
    `held_up_to` is the highest id in the table before the run's first session; None: an older version began it.
    """

    checkpoint: Checkpoint = Checkpoint()
    after: int = 0
    employees: int | None = None
    highest_id: int = 0
    held_up_to: int | None = None
    cleared: bool = False
    """True once the employees table was emptied, if that was asked for."""
    resent: int = 0
    resumed: bool = False
    """True where an earlier process published to the session: how often, up to its end, the ledger does not know."""
    left_behind: tuple[str, ...] = ()
    """Sessions that the consumer did not say it removed; empty: one that it may have made and did not name."""
