"""What becomes of a run, in every face at once: verdict, gate, exit code, JUnit, colour, badge, headline, command."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from junitparser import JUnitXml

from promise_pub.cli import junit
from promise_pub.cli.output import exit_code, print_run
from promise_pub.delivery.evidence.outcome import find_attention, judge_gate, judge_passed
from promise_pub.delivery.evidence.sentences import explain
from promise_pub.errors import PromisePubError
from promise_pub.parameters import Parameters
from promise_pub.parameters.gate import parse_gate
from promise_pub.parameters.gate_kinds import NAMES
from promise_pub.presentation import wording
from promise_pub.presentation.outcome_words import shorten_verdict
from promise_pub.presentation.run_json import decode_run, encode_run, summarize_run
from promise_pub.records import ConfirmLatency, Counts, Fault, Finding, RunReport, SessionView, State, Verdict
from promise_pub.records import FindingKind as Kind
from tests.run_parts import ended, report

COUNTS = Counts(read=100, published=100, confirmed=100)
LATENCY = ConfirmLatency(3.1, 9.8, 61.0, 90.0)


def kept(*findings: Finding, verdict: Verdict = Verdict.KEPT, **changes: Any) -> RunReport:
    session = SessionView("s", 100, 100, 0, 0, digest="d")
    whole = {"counts": COUNTS, "session": session, "digest": "d", "confirm_ms": LATENCY, "findings": findings}
    return ended(verdict, *map(explain, findings), **{**whole, **changes})


DUPLICATES = Finding(Kind.DUPLICATE, Verdict.KEPT, 100)
RUNS: dict[str, Callable[[], RunReport]] = {
    "all saved": kept,
    "all repeats": lambda: kept(DUPLICATES, session=SessionView("s", 100, 0, 100, 0, digest="d")),
    "some rejected": lambda: kept(counts=replace(COUNTS, read=102, rejected=2)),
    "by counts": lambda: kept(Finding(Kind.NO_DIGEST, Verdict.KEPT), session=SessionView("s", 100, 100)),
    "table changed": lambda: kept(Finding(Kind.TABLE_CHANGED, Verdict.KEPT, 100, {"grown": 120})),
    "rows missing": lambda: kept(
        Finding(Kind.NOT_RECEIVED, Verdict.BROKEN, 3, {"numbers": "7-9"}),
        verdict=Verdict.BROKEN,
        session=SessionView("s", 97, 97, 0, 0),
    ),
    "no use": lambda: kept(
        Finding(Kind.NOT_USABLE, Verdict.BROKEN, 100),
        verdict=Verdict.BROKEN,
        session=SessionView("s", 100, 0, 0, 100, digest="d"),
    ),
    "saved untold": lambda: kept(
        Finding(Kind.SAVED_NOT_REPORTED, Verdict.UNKNOWN),
        verdict=Verdict.UNKNOWN,
        session=SessionView("s", 100, None, digest="d"),
    ),
    "failed": lambda: report(state=State.FAILED, error=Fault("queue_gone", "The session's queue is gone.")),
    "going": report,
}

NUMBERS = [name for name in NAMES if name != "verdict"]
# What JUnit says of the verdict, and of each clause of the gate: . passed, F failure, E error, S skipped.
TABLE = [
    # run            gate                                   passed  attention          exit  JUnit  colour         badge
    ("all saved",    "",                                    True,   "",                0,    ".",   "kept",        "kept"),
    ("all saved",    "saved < accepted",                    True,   "",                0,    "..",  "kept",        "kept"),
    ("all saved",    "p99 > 50ms",                          False,  "",                4,    ".F",  "gate-failed", "gate failed"),
    ("all saved",    "rejected > 0 or p99 > 50ms",          False,  "",                4,    "..F", "gate-failed", "gate failed"),
    ("all saved",    "saved / missing > 1",                 False,  "",                4,    ".S",  "not-judged",  "gate not judged"),
    ("all saved",    "saved / missing > 1 or rejected > 0", False,  "",                4,    ".S.", "not-judged",  "gate not judged"),
    ("all saved",    "saved / missing > 1 or p99 > 50ms",   False,  "",                4,    ".SF", "gate-failed", "gate failed"),
    ("all saved",    "db_count < 100",                      False,  "",                4,    ".S",  "not-judged",  "gate not judged"),
    ("all saved",    "verdict != kept",                     True,   "",                0,    "..",  "kept",        "kept"),
    ("all repeats",  "",                                    True,   "nothing_saved",   0,    ".",   "attention",   "kept, nothing saved"),
    ("all repeats",  "p99 > 90ms",                          True,   "nothing_saved",   0,    "..",  "attention",   "kept, nothing saved"),
    ("all repeats",  "saved = 0",                           False,  "nothing_saved",   4,    ".F",  "gate-failed", "gate failed"),
    ("all repeats",  "repeats > 99%",                       False,  "nothing_saved",   4,    ".F",  "gate-failed", "gate failed"),
    ("some rejected","",                                    True,   "some_rejected",   0,    ".",   "attention",   "kept, some rejected"),
    ("some rejected","rejected > 2%",                       True,   "some_rejected",   0,    "..",  "attention",   "kept, some rejected"),
    ("some rejected","rejected > 1%",                       False,  "some_rejected",   4,    ".F",  "gate-failed", "gate failed"),
    ("by counts",    "repeats > 0 or unusable > 0",         True,   "counts_only",     0,    "...", "attention",   "kept, counts only"),
    ("table changed","",                                    True,   "table_changed",   0,    ".",   "attention",   "kept, table changed"),
    ("rows missing", "",                                    False,  "",                3,    "F",   "broken",      "broken"),
    ("rows missing", "missing > 2",                         False,  "",                3,    "FF",  "broken",      "broken"),
    ("rows missing", "missing > 3",                         False,  "",                3,    "F.",  "broken",      "broken"),
    ("no use",       "unusable = 100%",                     False,  "",                3,    "FF",  "broken",      "broken"),
    ("saved untold", "",                                    False,  "",                3,    "F",   "unknown",     "unknown"),
    ("saved untold", "saved < accepted",                    False,  "",                3,    "FS",  "unknown",     "unknown"),
    ("saved untold", "verdict = unknown",                   False,  "",                3,    "FF",  "unknown",     "unknown"),
    ("failed",       "saved < accepted",                    None,   "",                1,    "ES",  "failed",      ""),
    ("going",        "saved < accepted",                    None,   "",                1,    "ES",  "going",       ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("run", "gate", "passed", "attention", "code", "cases", "tone", "badge"), TABLE, ids=[f"{row[0]}-{row[1]}" for row in TABLE]
)  # fmt: skip
def test_every_face_says_the_same(
    run: str,
    gate: str,
    passed: bool | None,
    attention: str,
    code: int,
    cases: str,
    tone: str,
    badge: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parameters = Parameters(fail_if=parse_gate(gate) if gate else None)
    told = replace(RUNS[run](), parameters=parameters)
    answer = encode_run(told)
    assert (answer["passed"], answer["attention"]) == (passed, attention.split())
    assert (judge_passed(told), " ".join(find_attention(told))) == (passed, attention)
    assert judge_passed(decode_run(answer)) is passed, "what is read back is judged alike"
    assert _exit_code(answer) == code
    assert _junit(answer) == cases
    assert wording.tone(told) == tone
    if told.verdict:
        assert shorten_verdict(told) == wording.tab_title(told) == badge
    line = dict(zip(("passed", "attention"), summarize_run(told)[6:8], strict=True))
    assert line == {"passed": passed, "attention": attention or None}
    print_run(answer, "text")
    first = capsys.readouterr().out.split(maxsplit=1)[0]
    assert first == ("attention" if attention else "gate" if set(cases[1:]) and told.verdict else "run")


def _exit_code(answer: dict[str, Any]) -> int:
    try:
        return exit_code(answer)
    except PromisePubError:
        return 1


def _junit(answer: dict[str, Any]) -> str:
    error = None if answer["state"] in ("completed", "failed") else PromisePubError("It is away.")
    suites = list(JUnitXml.fromstring(junit.report(answer, error, "data.csv", "localhost")))
    assert len(suites) == 1
    letters = {case.name: type(case.result[0]).__name__[0] if case.result else "." for case in suites[0]}
    return letters["the promise is kept"] + "".join(
        letter for name, letter in letters.items() if name.startswith("gate: ")
    )


def test_headlines_say_what_is_worth_knowing_first() -> None:
    said = {name: wording.headline(make()) for name, make in RUNS.items()}
    assert said == {
        "all saved": "The promise is kept.",
        "all repeats": "The promise is kept, but nothing new was saved.",
        "some rejected": "The promise is kept, but 2 records were rejected.",
        "by counts": "The promise is kept, but only counts prove it.",
        "table changed": "The promise is kept, but others changed the table.",
        "rows missing": "The promise is broken.",
        "no use": "The promise is broken.",
        "saved untold": "Not proven.",
        "failed": "The run failed.",
        "going": "Publishing",
    }


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("p99 > 50ms", "The promise is kept, but the gate failed: p99 > 50ms: 61 ms > 50 ms."),
        ("p99 > 50 or max > 80", "The promise is kept, but the gate failed: p99 > 50: 61 ms > 50 ms, and 1 more."),
        ("db_count < 1", "The promise is kept, but the gate could not be judged: db_count < 1: unknown < 1, because nobody told db_count."),
        ("p99 > 50ms and " * 20 + "p99 > 1", "The promise is kept, but the gate failed."),
    ],
)  # fmt: skip
def test_a_gate_that_does_not_pass_has_words_of_its_own(gate: str, says: str) -> None:
    assert wording.headline(kept(parameters=Parameters(fail_if=parse_gate(gate)))) == says


def test_an_older_servers_answer_is_judged_by_its_verdict() -> None:
    answer = encode_run(kept())
    for name in ("passed", "attention", "gate", "fail_if"):
        del answer[name]
    assert exit_code(answer) == 0
    assert _junit(answer) == "."


def test_the_command_says_what_to_do_before_anything_else(capsys: pytest.CaptureFixture[str]) -> None:
    run = replace(RUNS["all repeats"](), parameters=Parameters(fail_if=parse_gate("saved = 0 or rejected > 0")))
    print_run(encode_run(run), "text")
    lines = io.StringIO(capsys.readouterr().out).read().splitlines()
    assert lines[:3] == [
        "attention       Nothing was saved: the mails of 100 rows were there before. Empty the table first to test saving.",
        "gate failed     saved = 0: 0 = 0",
        "gate passed     rejected > 0: 0 > 0",
    ]
    print_run(encode_run(run), "csv")
    head, values = capsys.readouterr().out.splitlines()
    told = dict(zip(head.split(","), values.split(","), strict=True))
    assert (told["promise"], told["passed"], told["attention"]) == ("kept", "False", "nothing_saved")


def test_every_name_of_a_gate_has_its_value_in_the_report() -> None:
    run = kept(
        db_count=100, parameters=Parameters(fail_if=parse_gate("verdict = kept or " + " * ".join(NUMBERS) + " >= 0"))
    )
    assert [clause.untold for clause in judge_gate(run)] == [(), ()]
    values = {
        "seconds.total": "10.25 s",
        "rate": "12.5",
        "repeats": "0",
        "unusable": "0",
        "missing": "0",
        "p99": "61 ms",
    }
    for name, value in values.items():
        asked = replace(run, parameters=Parameters(fail_if=parse_gate(f"{name} >= 0")))
        assert judge_gate(asked)[0].seen.partition(" >=")[0] == value


def test_a_gate_judges_the_numbers_that_people_see() -> None:
    latency = ConfirmLatency(0.1, 0.2, 50.04, 0.3)
    run = kept(confirm_ms=latency, parameters=Parameters(fail_if=parse_gate("p99 > 50ms or p50 + p95 != max")))
    assert encode_run(run)["confirm_ms"]["p99"] == 50.0
    assert judge_passed(run) is True
