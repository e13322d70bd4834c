"""Words and colours for what follows from a verdict: the gate, and what is worth a look although a promise is kept. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from promise_pub.delivery.evidence.outcome import Attention, find_attention, judge_gate
from promise_pub.parameters.gate import JudgedClause, Outcome, outcome_of
from promise_pub.records import RunReport, Verdict
from promise_pub.text import counted

ATTENTION, GATE_FAILED, NOT_JUDGED = "attention", "gate-failed", "not-judged"
"""Tones of a kept promise that is worth a look, whose gate failed, whose gate could not be judged."""

_MAX_CLAUSE = 120  # characters of a clause in a headline; a longer one stands below it alone
_VERDICTS = {
    Verdict.KEPT: "The promise is kept",
    Verdict.BROKEN: "The promise is broken",
    Verdict.UNKNOWN: "Not proven",
}
_GATES = {Outcome.PASSED: "gate passed", Outcome.FAILED: "gate failed", Outcome.UNKNOWN: "gate not judged"}


class Note(NamedTuple):
    """Something worth a look: in a few words that follow `The promise is kept, but`, in a sentence, and what to do."""

    words: str
    clause: str
    sentence: str
    advice: str


# `{rows}` counts confirmed rows; `{rejected}` and `{of_records}` count rejected records, with their verb.
_NOTES: Mapping[Attention, Note] = {
    Attention.NOTHING_SAVED: Note(
        "nothing saved",
        "nothing new was saved",
        "Nothing was saved: the mails of {rows} were there before.",
        "Empty the table first to test saving.",
    ),
    Attention.SOME_REJECTED: Note(
        "some rejected",
        "{rejected} rejected",
        "{of_records} rejected, and not published.",
        "Correct the file, or have such runs fail by fail_if=rejected > 0.",
    ),
    Attention.TABLE_CHANGED: Note(
        "table changed",
        "others changed the table",
        "Somebody else saved to employees, or deleted from it, meanwhile.",
        "Let nothing else use the table while a run goes.",
    ),
    Attention.COUNTS_ONLY: Note(
        "counts only",
        "only counts prove it",
        "Only counts prove it: this consumer reports no digest of what it received.",
        "Have the consumer report a digest, and every row is proven.",
    ),
}


def list_notes(report: RunReport) -> list[Note]:
    """Returns what is worth a look, the weightiest first."""
    rejected, read = report.counts.rejected, report.counts.read
    were = "was" if rejected == 1 else "were"
    facts = {
        "rows": counted(report.counts.confirmed, "row"),
        "rejected": f"{counted(rejected, 'record')} {were}",
        "of_records": f"{rejected:,} of {counted(read, 'record')} {were}",
    }
    return [Note(*(part.format(**facts) for part in _NOTES[one])) for one in find_attention(report)]


def list_clauses(report: RunReport) -> list[tuple[str, JudgedClause]]:
    """Returns the clauses of a run's gate, what failed first, each after what became of it."""
    clauses = judge_gate(report)
    by_weight = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.PASSED)
    return [(_GATES[one.outcome], one) for one in sorted(clauses, key=lambda one: by_weight.index(one.outcome))]


def describe_verdict(report: RunReport) -> str:
    """Returns the headline of a run that has a verdict."""
    return f"{''.join(_headline(report))}."


def _headline(report: RunReport) -> Iterator[str]:
    assert report.verdict
    yield _VERDICTS[report.verdict]
    tone = verdict_tone(report)
    if tone == ATTENTION:
        yield f", but {list_notes(report)[0].clause}"
    if tone not in (GATE_FAILED, NOT_JUDGED):
        return
    yield ", but the gate failed" if tone == GATE_FAILED else ", but the gate could not be judged"
    weight, first = list_clauses(report)[0]
    more = sum(words == weight for words, _ in list_clauses(report)) - 1
    if len(first.sentence) <= _MAX_CLAUSE:
        yield f": {first.sentence}{f', and {more} more' if more else ''}"


def verdict_tone(report: RunReport) -> str:
    """Returns the tone of a run that has a verdict: the verdict itself, unless a kept one is not the whole story."""
    assert report.verdict
    if report.verdict is not Verdict.KEPT:
        return report.verdict.value
    gate = outcome_of(judge_gate(report))
    if gate is not Outcome.PASSED:
        return GATE_FAILED if gate is Outcome.FAILED else NOT_JUDGED
    return ATTENTION if find_attention(report) else report.verdict.value


def shorten_verdict(report: RunReport) -> str:
    """Returns the few words about a verdict that fit into a table or a browser's tab."""
    tone = verdict_tone(report)
    if tone in (GATE_FAILED, NOT_JUDGED):
        return _GATES[outcome_of(judge_gate(report))]
    return f"kept, {list_notes(report)[0].words}" if tone == ATTENTION else tone
