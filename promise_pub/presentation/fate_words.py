"""Fates of rows in the words that people read, and which rows somebody has to look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from promise_pub.fates import Fate, count_in_need
from promise_pub.records import RunReport, State

LOST, ASIDE, SAVED, OPEN = "lost", "aside", "saved", "open"
"""Tones of a fate: its colour on a page."""


class FateWords(NamedTuple):
    """A fate as a badge has it, its tone, and what it means of a row."""

    name: str
    tone: str
    meaning: str


WORDS: Mapping[Fate, FateWords] = {
    Fate.REJECTED: FateWords("rejected", ASIDE, "The record cannot be published as a row."),
    Fate.UNPUBLISHED: FateWords("not published", LOST, "The run ended before the row was published."),
    Fate.RETURNED: FateWords("returned", LOST, "The broker had no queue for the row."),
    Fate.NACKED: FateWords("refused", LOST, "The broker refused the row."),
    Fate.UNCONFIRMED: FateWords("not confirmed", LOST, "The row was published, and the broker did not confirm it."),
    Fate.MISSING: FateWords("missing", LOST, "The broker confirmed the row, and the consumer did not receive it."),
    Fate.UNUSABLE: FateWords("not usable", LOST, "The consumer received the row and could not use it."),
    Fate.REPEAT: FateWords("repeat", ASIDE, "The row repeats a mail that stands before it."),
    Fate.HELD_BEFORE: FateWords("held before", ASIDE, "The table had the row's mail before the run."),
    Fate.UNSAVED: FateWords(
        "not saved", LOST, "The consumer received the row and did not save it, for no known reason."
    ),
    Fate.SAVED: FateWords("saved", SAVED, "The consumer saved the row."),
    Fate.UNKNOWN: FateWords("not known", OPEN, "The row was published; nothing proves what became of it."),
}


def rows_in_need(report: RunReport) -> dict[Fate, int]:
    """Returns the number of a run's records by each fate that needs somebody, where there are any."""
    return count_in_need(report.fates)


def sendable(fates: Mapping[Fate, int]) -> dict[Fate, int]:
    """Returns those of the fates whose records are rows, which can be sent again."""
    return {fate: count for fate, count in fates.items() if fate is not Fate.REJECTED}


def what_would_prove_more(report: RunReport) -> list[str]:
    """Returns what to do so that rows of an unknown fate get one; empty where there are none."""
    if not (report.fates or {}).get(Fate.UNKNOWN):
        return []
    if report.state is not State.COMPLETED:
        return ["The run did not complete, so there is no last report of the consumer: resume the run."]
    advice = []
    if "mail" not in report.parameters.columns:
        advice.append("Rows with a column 'mail' are looked up in the table employees.")
    session = report.session
    if session is None or session.received is None or session.saved is None:
        advice.append("A consumer that reports how many rows it received and saved proves as many.")
    else:
        advice.append(
            "A consumer that reports the numbers of the rows that it received and did not save (rows, duplicate_rows and "
            "invalid_rows in its session) proves the fate of each."
        )
    return advice
