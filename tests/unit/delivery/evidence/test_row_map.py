"""What a report tells of its rows at the broker, where it does not name all that were lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.delivery.evidence.row_map import LostRows, Piece, RowMap, Unrecorded, map_rows, map_unfinished
from promise_pub.fates import Fate
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import Counts, RunReport, SessionView, State, StoredFile
from promise_pub.resume_state import Checkpoint, ResumeState

NOT_TOLD = Unrecorded.CONFIRM


def ended(confirmed: int, returned: int = 0, nacked: int = 0, published: int = 100, **changes: Any) -> RunReport:
    """A run of 120 rows with a checkpoint after the fiftieth."""
    return RunReport(
        **{
            "id": "r",
            "parameters": Parameters(Mode.BATCH),
            "file": StoredFile("f", 1, ""),
            "created_at": datetime.now(UTC),
            "state": State.FAILED,
            "counts": Counts(120, 0, published, confirmed, returned, nacked),
            "resume_state": ResumeState(Checkpoint(row=50)),
            **changes,
        }
    )


def pieces(rows: RowMap, last: int = 120) -> list[tuple[int, int, object]]:
    return [tuple(piece) for piece in rows.between(1, last)]


def counted(rows: RowMap, known: object) -> int:
    return sum(last - first + 1 for first, last, one in pieces(rows) if one is known)


UNPUBLISHED = (101, 120, Fate.UNPUBLISHED)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (ended(100), [(1, 100, Fate.UNKNOWN)]),
        (ended(80, unconfirmed_rows="81-100"), [(1, 80, Fate.UNKNOWN), (81, 100, Fate.UNCONFIRMED)]),
        # An older version's: nobody wrote down which.
        (ended(80), [(1, 50, Fate.UNKNOWN), (51, 100, NOT_TOLD)]),
        (ended(50), [(1, 50, Fate.UNKNOWN), (51, 100, Fate.UNCONFIRMED)]),
        (
            ended(48, 2, returned_rows="1-2", resume_state=ResumeState(Checkpoint(row=50, returned_rows="1-2"))),
            [(1, 2, Fate.RETURNED), (3, 50, Fate.UNKNOWN), (51, 100, Fate.UNCONFIRMED)],
        ),
        (ended(0, resume_state=ResumeState()), [(1, 100, Fate.UNCONFIRMED)]),
        # Some came back that are not named, so that it is not known which have no confirm.
        (ended(50, returned=3), [(1, 50, Fate.UNKNOWN), (51, 100, NOT_TOLD)]),
        # Cut in the middle, as a report is.
        (
            ended(90, 10, returned_rows="60,70-71 and 5 more ranges"),
            [
                *((1, 50, Fate.UNKNOWN), (51, 59, NOT_TOLD), (60, 60, Fate.RETURNED), (61, 69, NOT_TOLD)),
                *((70, 71, Fate.RETURNED), (72, 100, NOT_TOLD)),
            ],
        ),
        (ended(90, nacked=10, nacked_rows="51 and 9 more ranges"), None),
        (
            ended(70, unconfirmed_rows="60-69 and 1 more range"),
            [(1, 50, Fate.UNKNOWN), (51, 59, NOT_TOLD), (60, 69, Fate.UNCONFIRMED), (70, 100, NOT_TOLD)],
        ),
        # More than can be lost after the checkpoint: it names none of those before it.
        (ended(20, nacked=80), [(1, 100, NOT_TOLD)]),
    ],
)
def test_rows_are_confirmed_only_where_the_report_proves_it(run: RunReport, told: list[Piece] | None) -> None:
    found = map_unfinished(run)
    if told is not None:
        assert pieces(found) == [*told, UNPUBLISHED]
    counts, open_rows = run.counts, counted(found, NOT_TOLD)
    for fate, count in (
        (Fate.RETURNED, counts.returned),
        (Fate.NACKED, counts.nacked),
        (Fate.UNCONFIRMED, counts.in_flight),
        (Fate.UNKNOWN, counts.confirmed),
    ):
        assert counted(found, fate) <= count <= counted(found, fate) + open_rows


def test_a_sessions_counts_say_nothing_of_rows_that_it_may_never_have_got() -> None:
    session = SessionView("u", 97, 97, 0, 0)
    run = ended(97, returned=3, state=State.COMPLETED, session=session, returned_rows="60 and 2 more ranges")
    found = map_rows(run, LostRows.of(run))
    assert pieces(found) == [(1, 59, NOT_TOLD), (60, 60, Fate.RETURNED), (61, 100, NOT_TOLD), UNPUBLISHED]
    named = map_rows(run, LostRows(RowRanges([(60, 62)]), RowRanges(), RowRanges()))
    assert len(named.sessions) == 1 and not counted(named, NOT_TOLD)
