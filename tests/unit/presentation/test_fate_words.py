"""Fates in words, and what follows from them."""

from __future__ import annotations

import pytest

from promise_pub.fates import Fate, RowGroup
from promise_pub.parameters import Parameters
from promise_pub.presentation.fate_words import WORDS, rows_in_need, sendable, what_would_prove_more
from promise_pub.presentation.gauges import ASIDE, DONE, LOST, gauges
from promise_pub.records import Counts, RunReport, SessionView, State, Verdict
from tests.run_parts import ended, report

GROUPS = (
    RowGroup(Fate.REJECTED, 2),
    RowGroup(Fate.SAVED, 90),
    RowGroup(Fate.UNUSABLE, 3, "too long"),
    RowGroup(Fate.REPEAT, 4, "repeats"),
    RowGroup(Fate.HELD_BEFORE, 1, "held"),
    RowGroup(Fate.UNUSABLE, 2, "of no use"),
)


def test_every_fate_has_words_of_its_own() -> None:
    assert WORDS.keys() == {*Fate}
    assert len({words.name for words in WORDS.values()}) == len(Fate)
    assert all(words.meaning.endswith(".") for words in WORDS.values())


def test_a_fate_that_needs_somebody_does_not_look_like_one_that_is_well() -> None:
    lost = {fate for fate, words in WORDS.items() if words.tone == "lost"}
    assert lost == {fate for fate in Fate if fate.needs_attention} - {Fate.REJECTED}


def test_what_needs_somebody_and_what_can_be_sent_again() -> None:
    run = ended(row_groups=GROUPS)
    assert rows_in_need(run) == {Fate.REJECTED: 2, Fate.UNUSABLE: 5}
    assert sendable(rows_in_need(run)) == {Fate.UNUSABLE: 5}
    assert rows_in_need(ended()) == {}


def test_the_bars_say_what_the_fates_say() -> None:
    run = ended(
        Verdict.BROKEN,
        row_groups=GROUPS,
        counts=Counts(read=102, rejected=2, published=100, confirmed=100),
        session=SessionView("s", received=100, saved=90),
    )
    saved = gauges(run)[4]
    assert saved.note == "5 not usable, 5 already there"
    assert {part.kind: part.width for part in saved.parts} == {DONE: 90, ASIDE: 5, LOST: 5}


UNKNOWN = (RowGroup(Fate.UNKNOWN, 9, "why"),)
COUNTS = SessionView("s", received=9, saved=3)


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (ended(), []),
        (ended(row_groups=GROUPS), []),
        (report(state=State.CANCELLED, row_groups=UNKNOWN), ["resume the run"]),
        (ended(row_groups=UNKNOWN, session=COUNTS), ["numbers of the rows"]),
        (ended(row_groups=UNKNOWN, session=SessionView("s")), ["how many rows"]),
        (
            ended(row_groups=UNKNOWN, session=COUNTS, parameters=Parameters(columns=("a", "b"))),
            ["a column 'mail'", "numbers of the rows"],
        ),
    ],
)
def test_what_would_prove_more(run: RunReport, says: list[str]) -> None:
    told = what_would_prove_more(run)
    assert len(told) == len(says)
    assert all(words in sentence for words, sentence in zip(says, told, strict=True))
