"""Kept, broken or unknown: a table of cases, and a world in which honest consumers lose, repeat and drop rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.evidence.proof import needs_repeats
from promise_pub.delivery.evidence.verdict import Judgement, judge, sort_by_weight
from promise_pub.records import Counts, Repeats, SessionView, Verdict

KEPT, BROKEN, UNKNOWN = Verdict.KEPT, Verdict.BROKEN, Verdict.UNKNOWN
ALL = Counts(read=102, rejected=2, published=100, confirmed=100)


def told(received: int | None, saved: int | None, dup: int | None = None, invalid: int | None = None) -> SessionView:
    return SessionView("u", received, saved, dup, invalid)


def all_there(repeats: Repeats | None, session: SessionView) -> Repeats | None:
    """With the mails of all rows that the session saved."""
    return repeats and replace(repeats, gained=session.saved or 0)


def nothing_grown(saved: int) -> str:
    return (
        f"the consumer says it saved {saved} rows, and employees did not grow: either it saves elsewhere, "
        "or nothing was committed"
    )


@pytest.mark.parametrize(
    ("session", "repeats", "grown", "verdict", "explanation"),
    [
        # The plain case, and the consumer that tells everything.
        (told(100, 100), None, 100, KEPT, []),
        (told(100, 100, 0, 0), None, 100, KEPT, []),
        (
            told(100, 93, 7),
            Repeats(in_file=7),
            93,
            KEPT,
            ["7 rows repeat a mail that was saved before"],
        ),
        (
            told(100, 99, 1),
            Repeats(held_before=1),
            99,
            KEPT,
            ["1 row repeats a mail that was saved before"],
        ),
        (
            told(100, 90, 7, 3),
            Repeats(in_file=7),
            90,
            BROKEN,
            [
                "7 rows repeat a mail that was saved before",
                "3 rows were received, but of no use to the consumer",
            ],
        ),
        # It tells more repeats than the file and the table show.
        (
            told(100, 0, 100),
            Repeats(),
            0,
            UNKNOWN,
            [
                "the consumer says that 100 rows repeat a mail that was saved before, but the file repeats none, and employees held none of them before the run"
            ],
        ),
        (
            told(100, 90, 10),
            Repeats(in_file=4, held_before=3),
            90,
            UNKNOWN,
            [
                "the consumer says that 10 rows repeat a mail that was saved before, but the file repeats 4, and employees held 3 of them before the run"
            ],
        ),
        (
            told(100, 0, 100),
            Repeats(held_before=100),
            0,
            KEPT,
            ["100 rows repeat a mail that was saved before"],
        ),
        # The first row of a mail was not usable, a later one was saved: fewer repeats than the file has.
        (
            told(100, 98, 1, 1),
            Repeats(in_file=2),
            98,
            BROKEN,
            [
                "1 row repeats a mail that was saved before",
                "1 row was received, but of no use to the consumer",
            ],
        ),
        # Long rows were saved all the same: cut short, or to a table that is wider.
        (
            told(100, 99),
            Repeats(in_file=1, too_long=1),
            99,
            KEPT,
            ["1 row repeats a mail that was saved before"],
        ),
        (
            told(100, 96),
            Repeats(in_file=1, held_before=3, too_long=2),
            96,
            KEPT,
            [
                "1 row repeats a mail that was saved before",
                "3 rows: employees held the mail before the run",
            ],
        ),
        (  # two of three: the third may be lost, or repeat the mail of another
            told(100, 98),
            Repeats(in_file=1, too_long=3),
            98,
            UNKNOWN,
            [
                "1 row repeats a mail that was saved before",
                "1 row: longer than the 127 characters that employees holds, as are others that were saved: a mail may repeat",
            ],
        ),
        (  # none of them
            told(100, 96),
            Repeats(in_file=1, too_long=3),
            96,
            BROKEN,
            [
                "1 row repeats a mail that was saved before",
                "3 rows: longer than the 127 characters that employees holds",
            ],
        ),
        (  # it saved nothing, so no row that is too long either
            told(100, 0),
            Repeats(in_file=1, held_before=99, too_long=1),
            0,
            BROKEN,
            [
                "1 row repeats a mail that was saved before",
                "99 rows: employees held the mail before the run",
                "1 row: longer than the 127 characters that employees holds",
                "the consumer left out 100 rows where 101 could not be saved: its counts contradict each other",
            ],
        ),
        (  # the growth of the table does not bear it out
            told(100, 99),
            Repeats(in_file=1, too_long=1),
            98,
            BROKEN,
            [
                "1 row repeats a mail that was saved before",
                "1 row: longer than the 127 characters that employees holds",
                "the consumer left out 1 row where 2 could not be saved: its counts contradict each other",
                "the consumer says it saved 99 rows, and employees grew by 98 meanwhile: the others are elsewhere, not committed, or deleted again",
            ],
        ),
        # It takes two mails for one that differ here, and does not tell: that looks like a row that is lost.
        (
            told(100, 99),
            Repeats(),
            99,
            BROKEN,
            ["the consumer received 1 row and did not save it, for no known reason"],
        ),
        # What it tells does not add up.
        (
            told(100, 90, 7),
            Repeats(in_file=7),
            90,
            BROKEN,
            [
                "7 rows repeat a mail that was saved before",
                "the consumer did not save 10 rows that it received, 3 of them for no known reason",
            ],
        ),
        (
            told(100, 95, 7),
            Repeats(in_file=7),
            95,
            BROKEN,
            [
                "7 rows repeat a mail that was saved before",
                "the consumer left out 5 rows where 7 could not be saved: its counts contradict each other",
            ],
        ),
        (told(100, 101), None, 101, BROKEN, ["the consumer says it saved 1 row more than it received"]),
        (
            told(100, 100, None, 5),
            None,
            100,
            BROKEN,
            [
                "5 rows were received, but of no use to the consumer",
                "the consumer left out 0 rows where 5 could not be saved: its counts contradict each other",
            ],
        ),
        # Rows that never came.
        (told(99, 99), None, 99, BROKEN, ["1 row was confirmed and never received"]),
        (told(0, 0), None, 0, BROKEN, ["100 rows were confirmed and never received"]),
        # It does not tell.
        (
            told(None, None),
            None,
            0,
            UNKNOWN,
            [
                "the consumer does not report how many rows it received: it is only proven that 100 rows were confirmed",
                "the consumer does not report how many rows it saved",
            ],
        ),
        (
            told(100, None),
            None,
            100,
            UNKNOWN,
            ["the consumer does not report how many rows it saved"],
        ),
        (
            told(None, 100),
            None,
            100,
            UNKNOWN,
            ["the consumer does not report how many rows it received: it is only proven that 100 rows were confirmed"],
        ),
        (
            told(99, None),
            None,
            99,
            BROKEN,
            [
                "1 row was confirmed and never received",
                "the consumer does not report how many rows it saved",
            ],
        ),
        # The file explains what it does not tell.
        (
            told(100, 93),
            Repeats(in_file=7),
            93,
            KEPT,
            ["7 rows repeat a mail that was saved before"],
        ),
        (
            told(100, 93),
            Repeats(in_file=4, held_before=2, too_long=1),
            93,
            BROKEN,
            [
                "4 rows repeat a mail that was saved before",
                "2 rows: employees held the mail before the run",
                "1 row: longer than the 127 characters that employees holds",
            ],
        ),
        (
            told(100, 93),
            Repeats(in_file=6),
            93,
            BROKEN,
            [
                "6 rows repeat a mail that was saved before",
                "the consumer did not save 7 rows that it received, 1 of them for no known reason",
            ],
        ),
        (
            told(100, 93),
            None,
            93,
            BROKEN,
            ["the consumer received 7 rows and did not save them, for no known reason"],
        ),
        (
            told(100, 93),
            Repeats(in_file=8),
            93,
            BROKEN,
            [
                "8 rows repeat a mail that was saved before",
                "the consumer left out 7 rows where 8 could not be saved: its counts contradict each other",
            ],
        ),
        # The same file again: nothing saved, and employees held it all.
        (
            told(100, 0),
            Repeats(held_before=100),
            0,
            KEPT,
            ["100 rows: employees held the mail before the run"],
        ),
        # The consumer may save elsewhere: what employees held proves nothing, even where the sum would come out.
        (
            told(100, 95),
            Repeats(held_before=5),
            0,
            UNKNOWN,
            ["5 rows: employees held the mail before the run", nothing_grown(95)],
        ),
        (
            told(100, 95),
            Repeats(held_before=4),
            0,
            BROKEN,
            [
                "the consumer received 5 rows and did not save them, for no known reason",
                nothing_grown(95),
            ],
        ),
        # Somebody else wrote to the table meanwhile.
        (
            told(100, 1),
            Repeats(held_before=99),
            2,
            UNKNOWN,
            [
                "99 rows: employees held the mail before the run",
                "the consumer says it saved 1 row, and employees grew by 2 meanwhile: either somebody else saves to it, or the consumer's count is wrong",
            ],
        ),
        # The table contradicts the consumer, which says that all is well.
        (
            told(100, 100),
            None,
            93,
            UNKNOWN,
            [
                "the consumer says it saved 100 rows, and employees grew by 93 meanwhile: the others are elsewhere, not committed, or deleted again"
            ],
        ),
        (
            told(100, 93, 7, 0),
            Repeats(in_file=7),
            1,
            UNKNOWN,
            [
                "7 rows repeat a mail that was saved before",
                "the consumer says it saved 93 rows, and employees grew by 1 meanwhile: the others are elsewhere, not committed, or deleted again",
            ],
        ),
        (told(100, 100), None, 0, UNKNOWN, [nothing_grown(100)]),
        (told(100, 100, 0, 0), None, 0, UNKNOWN, [nothing_grown(100)]),
        (
            told(100, 100),
            None,
            120,
            UNKNOWN,
            [
                "the consumer says it saved 100 rows, and employees grew by 120 meanwhile: either somebody else saves to it, or the consumer's count is wrong"
            ],
        ),
        (
            told(100, 100),
            None,
            -1,
            UNKNOWN,
            ["the consumer says it saved 100 rows, and employees shrank by 1 row: somebody else deletes from it"],
        ),
        (
            told(100, 95),
            Repeats(in_file=5, held_before=3),
            0,
            UNKNOWN,
            ["5 rows repeat a mail that was saved before", nothing_grown(95)],
        ),
        # It saves here, so a mail that was held cannot have been saved: the sum must not come out without it.
        (
            told(100, 95),
            Repeats(in_file=5, held_before=3),
            95,
            BROKEN,
            [
                "5 rows repeat a mail that was saved before",
                "3 rows: employees held the mail before the run",
                "the consumer left out 5 rows where 8 could not be saved: its counts contradict each other",
            ],
        ),
        # Nobody knows how the table grew.
        (
            told(100, 95),
            Repeats(held_before=5),
            None,
            KEPT,
            ["5 rows: employees held the mail before the run"],
        ),
        # More received than confirmed: redelivered, if it tells so.
        (
            told(110, 100),
            None,
            100,
            UNKNOWN,
            ["the consumer received 10 more than were confirmed, so its count does not prove every row"],
        ),
        (
            told(110, 100, 10),
            None,
            100,
            KEPT,
            ["10 rows were received more than once"],
        ),
        (
            told(110, 98, 12),
            Repeats(in_file=2),
            98,
            KEPT,
            [
                "10 rows were received more than once",
                "2 rows repeat a mail that was saved before",
            ],
        ),
        # Five rows never came; as many of the redelivered ones hide them in every sum that the consumer tells.
        (
            told(110, 95, 15),
            Repeats(),
            95,
            BROKEN,
            [
                "10 rows were received more than once",
                "the consumer received 5 rows and did not save them, for no known reason",
            ],
        ),
        # Of the unusable messages, so many are rows as were not saved and repeat none; the others came again.
        (
            told(110, 90, 15, 5),
            Repeats(in_file=5),
            90,
            BROKEN,
            [
                "10 rows were received more than once",
                "5 rows repeat a mail that was saved before",
                "5 rows were received, but of no use to the consumer",
            ],
        ),
        (
            told(110, 100, 5, 5),
            None,
            100,
            UNKNOWN,
            [
                "the consumer received 10 more than were confirmed, so its count does not prove every row",
                "the consumer could not use 5 messages, and does not report which of them it received before",
            ],
        ),
        (
            told(110, 101, 9),
            None,
            101,
            UNKNOWN,
            [
                "the consumer received 10 more than were confirmed, so its count does not prove every row",
                "the consumer says it saved 101 rows where 100 were sent: it saved some twice, or its count is wrong",
            ],
        ),
        # It admits unusable rows, and leaves out how many it received or saved.
        (
            told(100, None, None, 3),
            None,
            97,
            BROKEN,
            [
                "the consumer does not report how many rows it saved",
                "3 rows were received, but of no use to the consumer",
            ],
        ),
        (
            told(110, 95),
            Repeats(in_file=3),
            95,
            BROKEN,
            [
                "the consumer received 10 more than were confirmed, so its count does not prove every row",
                "3 rows repeat a mail that was saved before",
                "the consumer did not save 5 rows that it received, 2 of them for no known reason",
            ],
        ),
    ],
)
def test_every_row_was_confirmed(
    session: SessionView,
    repeats: Repeats | None,
    grown: int | None,
    verdict: Verdict,
    explanation: list[str],
) -> None:
    judgement = judge(ALL, "", "", session, all_there(repeats, session), grown)
    assert (judgement.verdict, sorted(judgement.explanation)) == (verdict, sorted(explanation))
    assert judgement.findings == sort_by_weight(judgement.findings)


@pytest.mark.parametrize(
    ("counts", "returned_rows", "nacked_rows", "explanation"),
    [
        (
            Counts(read=100, published=100, confirmed=97, returned=3),
            "98-100",
            "",
            ["3 rows came back from the broker, which had no queue for them: 98-100"],
        ),
        (
            Counts(read=100, published=100, confirmed=99, nacked=1),
            "",
            "7",
            ["1 row was refused by the broker: 7"],
        ),
        (
            Counts(read=100, published=100, confirmed=98),
            "",
            "",
            ["2 rows were never confirmed by the broker"],
        ),
        (
            Counts(read=100, published=60, confirmed=60),
            "",
            "",
            ["40 rows were never confirmed by the broker"],
        ),
        (
            Counts(read=100, published=101, confirmed=101),
            "",
            "",
            ["the broker settled 1 row more than were to be published"],
        ),
    ],
)
def test_a_row_that_the_broker_did_not_take_breaks_the_promise(
    counts: Counts, returned_rows: str, nacked_rows: str, explanation: list[str]
) -> None:
    for session in (told(counts.confirmed, counts.confirmed), told(None, None), told(500, 500)):
        judgement = judge(counts, returned_rows, nacked_rows, session, None, None)
        assert judgement.verdict is BROKEN
        assert list(judgement.explanation[: len(explanation)]) == explanation


@pytest.mark.parametrize(
    ("session", "needed"),
    [
        (told(100, 93), True),
        (told(100, 100), False),
        (told(100, 93, 7), True),
        (told(100, 93, 0), False),
        (told(100, 100, 0), False),
        (told(90, 83, 7), True),
        (told(None, 93), False),
        (told(100, None), False),
        (told(110, 95, 15), True),
        (told(110, 100, 10), False),
        (told(110, 100), True),
    ],
)
def test_a_second_pass_is_needed_where_rows_are_unsaved_for_a_reason_that_can_be_counted(
    session: SessionView, needed: bool
) -> None:
    assert needs_repeats(ALL, session) is needed


@pytest.mark.parametrize(
    ("saved", "repeats", "grown", "verdict"),
    [
        # Employees grew by what it saved: it saves there, and whatever that held, it could not save.
        (97, Repeats(in_file=1, held_before=2), 97, KEPT),
        (98, Repeats(in_file=2, held_before=1), 98, BROKEN),  # in_file alone would explain it
        # Employees did not grow, as nothing was saved: what it held counts only where more is left to explain.
        (0, Repeats(in_file=60, held_before=40), 0, KEPT),
        (0, Repeats(in_file=100, held_before=40), 0, KEPT),
        # Nobody knows by how much it grew.
        (97, Repeats(in_file=1, held_before=2), None, KEPT),
        (98, Repeats(in_file=2, held_before=1), None, KEPT),
        (96, Repeats(in_file=1, held_before=2), None, BROKEN),
        # It grew by something else: what it held explains all that is left, or nothing.
        (97, Repeats(in_file=1, held_before=2), 90, UNKNOWN),
        (97, Repeats(in_file=3, held_before=2), 90, UNKNOWN),
        (96, Repeats(in_file=1, held_before=2), 90, BROKEN),
    ],
)
def test_mails_that_employees_held_before_explain_rows_where_the_consumer_may_save_to_it(
    saved: int, repeats: Repeats, grown: int | None, verdict: Verdict
) -> None:
    session = told(100, saved)
    assert judge(ALL, "", "", session, all_there(repeats, session), grown).verdict is verdict


SMALL = st.integers(0, 6)
MAYBE = st.none() | SMALL


@settings(deadline=None)  # a busy machine is no fault of the code
@given(
    st.builds(Counts, read=SMALL, published=SMALL, confirmed=SMALL, returned=SMALL, nacked=SMALL),
    st.builds(told, MAYBE, MAYBE, MAYBE, MAYBE),
    st.none() | st.builds(Repeats, SMALL, SMALL, SMALL, SMALL),
    st.none() | st.integers(-2, 6),
)
def test_kept_is_never_said_without_its_conditions(
    counts: Counts, session: SessionView, repeats: Repeats | None, grown: int | None
) -> None:
    judgement = judge(counts, "", "", session, repeats, grown)
    received, saved = session.received, session.saved
    if judgement.verdict is KEPT:
        assert counts.confirmed == counts.accepted
        assert counts.returned == counts.nacked == 0
        assert received is not None and saved is not None
        assert received >= counts.confirmed and saved <= received
        shown = repeats.in_file + repeats.held_before if repeats else 0
        assert counts.confirmed - saved <= shown
        assert received == counts.confirmed or session.duplicates is not None
        assert grown in (None, saved)
        assert repeats is None or repeats.gained + repeats.too_long >= saved
        assert not session.invalid or received > counts.confirmed == saved
        assert saved <= counts.confirmed
    elif judgement.verdict is UNKNOWN:
        lacking = repeats is not None and saved is not None and repeats.gained + repeats.too_long < saved
        elsewhere = grown is not None and (grown != saved or lacking)
        word = bool(session.duplicates)
        assert received is None or saved is None or received > counts.confirmed or elsewhere or word
    assert judgement.explanation or judgement.verdict is KEPT


SHORT_FILES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=9)
FILES = st.lists(st.sampled_from("abcdefgh") | st.just("too long"), min_size=1, max_size=9)
CHANCES = st.lists(st.sampled_from([*["once"] * 6, "lost", "dropped", "twice"]), min_size=9)


def deliver(mails: list[str], fates: list[str], held: set[str], tells: bool) -> tuple[Judgement, set[str]]:
    """An honest consumer that saves each mail once; the verdict on it, and the mails nobody can find afterwards."""
    table, received, saved, duplicates, invalid = set(held), 0, 0, 0, 0
    for mail, fate in zip(mails, fates, strict=False):
        for _ in range({"lost": 0, "twice": 2}.get(fate, 1)):
            received += 1
            if mail == "too long":
                invalid += 1
            elif mail in table:
                duplicates += 1
            elif fate != "dropped":
                table.add(mail)
                saved += 1
    short = [mail for mail in mails if mail != "too long"]
    repeats = Repeats(
        in_file=len(short) - len(set(short)),
        held_before=len(set(short) & held),
        too_long=len(mails) - len(short),
        gained=saved,
    )
    counts = Counts(read=len(mails), published=len(mails), confirmed=len(mails))
    session = told(received, saved, duplicates, invalid) if tells else told(received, saved)
    counted = repeats if needs_repeats(counts, session, saved) else None
    return judge(counts, "", "", session, counted, saved), set(short) - table


@settings(deadline=None)  # a busy machine is no fault of the code
@given(FILES, CHANCES, st.sets(st.sampled_from("abcd")), st.booleans())
def test_a_mail_that_nobody_saved_is_never_kept(
    mails: list[str], fates: list[str], held: set[str], tells: bool
) -> None:
    judgement, missing = deliver(mails, fates, held, tells)
    assert not (missing and judgement.verdict is KEPT)


@settings(deadline=None)  # a busy machine is no fault of the code
@given(FILES, st.sets(st.sampled_from("abcd")), st.booleans())
def test_where_every_row_came_once_and_was_usable_the_promise_is_kept(
    mails: list[str], held: set[str], tells: bool
) -> None:
    judgement, missing = deliver(mails, ["once"] * len(mails), held, tells)
    assert judgement.verdict is (BROKEN if "too long" in mails else KEPT) and not missing


@settings(deadline=None)  # a busy machine is no fault of the code
@given(SHORT_FILES, CHANCES, st.sets(st.sampled_from("abcd")))
def test_rows_that_came_twice_break_nothing_when_the_consumer_tells(
    mails: list[str], fates: list[str], held: set[str]
) -> None:
    again = ["twice" if fate == "twice" else "once" for fate in fates[: len(mails)]]
    assert deliver(mails, again, held, True)[0].verdict is KEPT
    assert deliver(mails, again, held, False)[0].verdict is (UNKNOWN if "twice" in again else KEPT)


def test_rows_that_were_saved_are_there_and_not_only_as_many() -> None:
    session = told(15, 10, 5)
    counts = Counts(read=15, published=15, confirmed=15)
    assert judge(counts, "", "", session, Repeats(in_file=5, gained=10), 10).verdict is KEPT
    judged = judge(counts, "", "", session, Repeats(in_file=5, gained=8), 10)
    assert judged.verdict is UNKNOWN
    assert "employees lacks the mails of 2 of them: others took their place" in judged.explanation[0]
