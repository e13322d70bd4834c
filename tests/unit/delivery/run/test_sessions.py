"""The consumer's sessions of a run, and the rows that an ended one is known to have processed."""

from __future__ import annotations

import pytest

from promise_pub.delivery.run.sessions import MAX_LEFT_BEHIND, RunSessions, last_processed_row
from promise_pub.records import FindingKind, SessionView


@pytest.mark.parametrize(
    ("told", "after", "resent", "last"),
    [
        (SessionView("u"), 0, 0, 0),
        (SessionView("u", 10, 8), 0, 0, 8),  # the fate of the others is unknown
        (SessionView("u", 10, 8, 2), 0, 0, 10),
        (SessionView("u", 10, 8, 1, 1), 0, 0, 9),  # the unusable one may be the last of them
        (SessionView("u", 12, 8, 1, 1), 0, 0, 9),  # two in hand
        (SessionView("u", 10, 8, 2), 5, 3, 12),
        (SessionView("u", 2, 2), 5, 3, 5),
        (SessionView("u", 10, 10, 0, 0, rows="1-7,9-11"), 0, 0, 7),
        (SessionView("u", 10, 10, 0, 0, rows="6-20"), 5, 0, 15),
        (SessionView("u", 10, 10, 0, 0, rows=""), 5, 0, 5),
    ],
)
def test_the_last_row_that_a_session_is_known_to_have_processed(
    told: SessionView, after: int, resent: int, last: int
) -> None:
    assert last_processed_row(told, after, resent) == last


def test_messages_of_a_killed_process_are_not_counted_twice() -> None:
    """It sent rows 1 to 30, the ledger knew of 10; after it 11 to 40 were sent, which has 20 rows twice."""
    twice = SessionView("u", received=50, saved=30, duplicates=20)
    assert last_processed_row(twice, 0, 0) == 50, "50 messages were not 50 rows"
    assert last_processed_row(twice, 0, 0, resumed=True) == 30
    assert last_processed_row(twice, 0, 40, resumed=True) == 10


def test_of_sessions_that_account_for_no_row_the_last_is_kept() -> None:
    sessions = RunSessions()
    for uuid, first, last in [("a", 1, 0), ("b", 1, 0), ("c", 1, 3), ("d", 4, 3), ("e", 4, 3)]:
        sessions.current = SessionView(uuid)
        sessions.end_current(first, last)
        assert sessions.current is None
    assert [one.session.uuid for one in sessions.earlier] == ["b", "c", "e"]


def test_an_earlier_session_keeps_the_lists_of_rows_that_are_short() -> None:
    short, long = "1-20,25", ",".join(map(str, range(1, 1000, 2)))
    sessions = RunSessions(SessionView("a", 9, rows=short, duplicate_rows=long, invalid_rows=short))
    sessions.end_current(1, 9)
    (earlier,) = sessions.earlier
    assert earlier.session == SessionView("a", 9, rows=short, invalid_rows=short)


def test_without_a_session_none_ends() -> None:
    sessions = RunSessions()
    sessions.end_current(1, 0)
    assert sessions.earlier == ()


def test_the_last_sessions_left_behind_are_named_once() -> None:
    sessions = RunSessions(left_behind=("a", "b"))
    sessions.note_left_behind(SessionView("a"))
    assert sessions.left_behind == ("b", "a")
    (finding,) = sessions.find_left_behind()
    assert finding.facts == {"uuids": ["b", "a"]}
    sessions.note_left_behind(None)
    assert [one.kind for one in sessions.find_left_behind()] == [
        FindingKind.SESSION_NOT_REMOVED,
        FindingKind.SESSION_NOT_NAMED,
    ]
    for number in range(MAX_LEFT_BEHIND):
        sessions.note_left_behind(SessionView(str(number)))
    assert len(sessions.left_behind) == MAX_LEFT_BEHIND and "a" not in sessions.left_behind
