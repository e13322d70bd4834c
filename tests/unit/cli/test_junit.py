"""A run as JUnit XML: compared whole, valid whatever a file is called, and at one with the verdict."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from promise_pub.cli import junit
from promise_pub.cli.output import exit_code, print_run
from promise_pub.delivery.evidence.proof import NO_PROOF, Proof
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.delivery.evidence.sentences import explain
from promise_pub.delivery.evidence.verdict import judge
from promise_pub.errors import BadParameter, PromisePubError, ServerAway
from promise_pub.http.problems import advice_on_run
from promise_pub.parameters import Parameters
from promise_pub.parameters.gate import parse_gate
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import (
    ConfirmLatency,
    Counts,
    EarlierSession,
    Fault,
    Finding,
    FindingKind,
    Repeats,
    RunReport,
    SessionView,
    State,
    StoredFile,
    Verdict,
)
from tests.run_parts import RUN, ended, report

CASES = [
    "the promise is kept",
    "no row is rejected",
    "no row comes back from the broker",
    "no row is refused by the broker",
    "every row is confirmed by the broker",
    "every confirmed row is received",
    "every received row is saved, or it is explained why not",
    "what is received is what was published",
    "new rows are saved",
]
BOTH_DIGESTS = {"digest": "d1" * 16, "session": SessionView("5e55", 100_000, 99_000, digest="d1" * 16)}


def parsed(run: RunReport | None, error: PromisePubError | None = None) -> TestSuite:
    """The report, read by the library that CI tools read such with."""
    return read(junit.report(encode_run(run) if run else None, error, "data.csv", "localhost"))


def read(document: bytes) -> TestSuite:
    suites = list(JUnitXml.fromstring(document))
    assert len(suites) == 1
    check(document)
    return suites[0]


def check(document: bytes) -> None:
    """What Jenkins' schema asks of a suite, and that the counts are those of its cases."""
    text = document.decode()
    root = re.search(r"<testsuite ([^>]*)>", text)
    assert text.startswith("<?xml version='1.0' encoding='utf-8'?>\n<testsuite ") and root
    names = set(re.findall(r'(\w+)="', root[1]))
    needed = {"name", "hostname", "tests", "failures", "errors", "skipped", "time"}
    assert needed <= names <= needed | {"timestamp"}
    assert re.findall(r"<(\w[\w-]*)[^>]*>", text)[1] == "properties"
    for tag, counted in (("testcase", "tests"), ("failure", "failures"), ("error", "errors")):
        assert f'{counted}="{len(re.findall(f"<{tag} ", text))}"' in root[1]


def results(suite: TestSuite) -> dict[str, str]:
    """What became of each case: `Failure: its text`, or `` where it passed."""
    return {case.name: result(case) for case in suite}


def result(case: TestCase) -> str:
    return "; ".join(f"{type(one).__name__}: {one.text}" for one in case.result)


def test_a_kept_promise_as_it_is_written() -> None:
    latency = ConfirmLatency(3.1, 9.8, 14.2, 21.0)
    finding = Finding(FindingKind.DUPLICATE, Verdict.KEPT, 1000)
    run = judged(Verdict.KEPT, finding, confirm_ms=latency, db_count=99_000)
    document = junit.report(encode_run(run), None, "data.csv", "ci.example", address=f"http://ci.example/runs/{RUN}")
    properties, rest = [], []
    for text in document.decode().replace("><", ">\n<").splitlines():
        (properties if "<property " in text else rest).append(text)
    assert (
        rest
        == dedent(f"""\
        <?xml version='1.0' encoding='utf-8'?>
        <testsuite name="promise-pub: data.csv" hostname="ci.example" timestamp="2026-11-24T12:00:01.500" tests="9" errors="0" failures="0" skipped="1" time="10.25">
        <properties>
        </properties>
        <testcase name="{CASES[0]}" classname="promise-pub" time="10.25" />
        <testcase name="{CASES[1]}" classname="promise-pub" time="0.0">
        <skipped message="2 rows were rejected and not published: /runs/{RUN}/rejects names them" type="rejected">2 rows were rejected and not published: /runs/{RUN}/rejects names them</skipped>
        </testcase>
        <testcase name="{CASES[2]}" classname="promise-pub" time="0.0" />
        <testcase name="{CASES[3]}" classname="promise-pub" time="0.0" />
        <testcase name="{CASES[4]}" classname="promise-pub" time="0.0" />
        <testcase name="{CASES[5]}" classname="promise-pub" time="0.0" />
        <testcase name="{CASES[6]}" classname="promise-pub" time="0.0" />
        <testcase name="{CASES[7]}" classname="promise-pub" time="0.0" />
        <testcase name="{CASES[8]}" classname="promise-pub" time="0.0" />
        </testsuite>
        """).splitlines()
    )
    told = dict(re.findall(r'name="([^"]*)" value="([^"]*)"', "\n".join(properties)))
    assert (
        told.items()
        >= {
            "url": f"http://ci.example/runs/{RUN}",
            "id": RUN,
            "passed": "true",
            "attention": "some_rejected",
            "state": "completed",
            "verdict": "kept",
            "mode": "live",
            "clear": "false",
            "rate": "0",
            "file.name": "data.csv",
            "file.bytes": "2000000",
            "rows.read": "100002",
            "rows.rejected": "2",
            "rows.confirmed": "100000",
            "rows.nacked": "0",
            "session.saved": "99000",
            "db_count": "99000",
            "confirm_ms.p99": "14.2",
            "seconds.total": "10.25",
            "digest": "d1" * 16,
        }.items()
    )
    check(document)


NOT_RECEIVED = Finding(FindingKind.NOT_RECEIVED, Verdict.BROKEN, 2, {"numbers": "7-8"})
NACKED = Finding(FindingKind.NACKED, Verdict.BROKEN, 1, {"numbers": "3"})
SAVED_NOT_REPORTED = Finding(FindingKind.SAVED_NOT_REPORTED, Verdict.UNKNOWN)


def judged(verdict: Verdict, *findings: Finding, **changes: Any) -> RunReport:
    return ended(verdict, *map(explain, findings), findings=findings, **{**BOTH_DIGESTS, **changes})


def test_a_broken_one_names_each_kind_of_loss_where_it_belongs() -> None:
    said = [explain(NOT_RECEIVED), explain(NACKED)]
    told = results(parsed(judged(Verdict.BROKEN, NOT_RECEIVED, NACKED)))
    assert told[CASES[0]] == "Failure: " + "\n".join(said)
    assert told[CASES[3]] == f"Failure: {said[1]}"
    assert told[CASES[5]] == f"Failure: {said[0]}"
    assert not any(told[name] for name in (CASES[2], CASES[4], CASES[6], CASES[7]))


def test_what_could_not_be_judged_is_skipped_and_the_promise_not_kept() -> None:
    said = explain(SAVED_NOT_REPORTED)
    told = results(parsed(judged(Verdict.UNKNOWN, SAVED_NOT_REPORTED)))
    assert told[CASES[0]] == f"Failure: {said}"
    assert told[CASES[6]] == f"Skipped: not judged: {said}"


@pytest.mark.parametrize("told_none", [True, False], ids=["an older server", "an older run"])
def test_without_findings_its_counts_are_judged_and_the_rest_is_left_to_the_verdict(told_none: bool) -> None:
    counts = Counts(read=10, published=10, confirmed=9, nacked=1)
    run = judged(Verdict.BROKEN, NACKED, counts=counts, nacked_rows="3")
    answer = encode_run(replace(run, findings=()))
    if told_none:
        del answer["findings"]
    told = results(read(junit.report(answer, None, "data.csv", "localhost")))
    assert told[CASES[0]] == f"Failure: {explain(NACKED)}"
    assert told[CASES[3]] == "Failure: nacked: 1 (3)"
    elsewhere = (
        "Skipped: not judged: an older version judged this run, and its reasons stand in the case 'the promise is kept'"
    )
    assert {told[name] for name in (CASES[2], *CASES[4:8])} == {elsewhere}


@pytest.mark.parametrize("kind", FindingKind)
@pytest.mark.parametrize(
    ("verdict", "result"), [(Verdict.BROKEN, "Failure: why"), (Verdict.UNKNOWN, "Skipped: not judged: why")]
)
def test_every_kind_of_finding_has_one_case(kind: FindingKind, verdict: Verdict, result: str) -> None:
    run = ended(verdict, "why", findings=(Finding(kind, verdict),), **BOTH_DIGESTS)
    told = results(parsed(run))
    assert [told[name] for name in CASES[2:] if told[name]] == [result]


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.INTERRUPTED])
def test_a_run_that_did_not_complete_is_an_error(state: State) -> None:
    counts = Counts(read=10, published=10, confirmed=8, returned=2)
    fault = Fault("queue_gone", "The session's queue is gone.")
    run = report(state=state, counts=counts, returned_rows="4-5", error=fault)
    suite = parsed(run)
    told = results(suite)
    assert told[CASES[0]] == f"Error: The session's queue is gone.\n{advice_on_run('queue_gone')}"
    assert told[CASES[2]] == "Failure: returned: 2 (4-5)"
    assert {told[CASES[at]] for at in (1, 3, 5, 8)} == {
        f"Skipped: not judged: the run is {state}, and there is no verdict"
    }
    assert (suite.errors, suite.failures) == (1, 1)


def test_one_without_a_reason_is_an_error_all_the_same() -> None:
    assert results(parsed(report(state=State.CANCELLED)))[CASES[0]] == "Error: The run was cancelled."


def test_without_a_run_there_is_the_error_and_nothing_passes() -> None:
    suite = parsed(None, ServerAway("http://x cannot be reached: refused"))
    told = results(suite)
    assert told[CASES[0]] == "Error: http://x cannot be reached: refused"
    assert [text for name, text in told.items() if name != CASES[0]] == ["Skipped: not judged: there is no run"] * 8
    assert [(one.name, one.value) for one in suite.properties()] == [("file.name", "data.csv")]


def test_a_run_that_was_lost_sight_of_is_an_error_with_what_was_known() -> None:
    suite = parsed(report(), ServerAway("gone"))
    assert results(suite)[CASES[0]] == "Error: gone"
    assert ("rows.confirmed", "40000") in [(one.name, one.value) for one in suite.properties()]


@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_whatever_is_in_a_name_it_stays_xml(name: str) -> None:
    file = StoredFile(f"a{name}b", 1, "")
    suite = parsed(ended(Verdict.BROKEN, f"x{name}", findings=(NACKED,), file=file))
    value = next(one.value for one in suite.properties() if one.name == "file.name")
    assert value.startswith("a") and value.endswith("b")
    parsed_error = results(parsed(None, ServerAway(f"y{name}")))[CASES[0]]
    assert parsed_error.startswith("Error: y")


def test_what_xml_cannot_hold_can_still_be_read() -> None:
    suite = parsed(ended(file=StoredFile("a\x1b[2J\x00\ud800]]>\t<&\"'😀", 1, "")))
    value = next(one.value for one in suite.properties() if one.name == "file.name")
    assert value == "a\\x1b[2J\\x00\\ud800]]>\t<&\"'😀"


COUNTS = Counts(read=10, published=10, confirmed=10)
TOLD = SessionView("s", received=10, saved=10, duplicates=0, invalid=0)
EARLIER = Proof(earlier=(EarlierSession(SessionView("e", 1, 1), 1, 1),))
PROOF = Proof(confirmed=RowRanges.parse("1-10"), digest="d")


def told(**changes: Any) -> SessionView:
    return replace(TOLD, **changes)


@pytest.mark.parametrize(
    ("counts", "session", "more", "case", "kind"),
    [
        (replace(COUNTS, confirmed=9, returned=1), told(received=9, saved=9), {}, 2, Failure),
        (replace(COUNTS, confirmed=9, nacked=1), told(received=9, saved=9), {}, 3, Failure),
        (replace(COUNTS, confirmed=9), told(received=9, saved=9), {}, 4, Failure),
        (replace(COUNTS, confirmed=12), told(received=12, saved=12), {}, 4, Failure),
        (COUNTS, told(received=9, saved=9), {}, 5, Failure),
        (COUNTS, told(received=9, saved=9, rows="1-9"), {"proof": PROOF}, 5, Failure),
        (COUNTS, told(received=None), {}, 5, Skipped),
        (COUNTS, told(received=12, saved=10), {}, 5, Skipped),
        (COUNTS, told(saved=9), {}, 6, Failure),
        (COUNTS, told(saved=9, duplicates=None), {"repeats": Repeats()}, 6, Failure),
        (COUNTS, told(saved=11), {}, 6, Failure),
        (COUNTS, told(saved=9, duplicates=3), {}, 6, Failure),
        (COUNTS, told(saved=None), {}, 6, Skipped),
        (COUNTS, told(), {"grown": 4}, 6, Skipped),
        (COUNTS, told(received=12, duplicates=1, invalid=1), {}, 6, Skipped),
        (COUNTS, told(received=12, saved=9, duplicates=2, invalid=1), {}, 6, Failure),
        (COUNTS, told(saved=9, invalid=1), {}, 6, Failure),
        (COUNTS, told(saved=9, duplicates=None), {"repeats": Repeats(too_long=1)}, 6, Failure),
        (COUNTS, told(saved=9, duplicates=1), {"repeats": Repeats()}, 6, Skipped),
        (COUNTS, told(received=12, saved=12), {"proof": PROOF._replace(digest=None)}, 6, Skipped),
        (COUNTS, told(), {"grown": 0}, 6, Skipped),
        (COUNTS, told(), {"grown": -1}, 6, Skipped),
        (COUNTS, told(), {"repeats": Repeats(gone=1), "proof": EARLIER}, 6, Skipped),
        (COUNTS, told(), {"proof": EARLIER._replace(columns=("name", "id"))}, 6, Skipped),
        (
            COUNTS,
            told(saved=9, duplicates=1),
            {"proof": Proof(columns=("id",))},
            6,
            Skipped,
        ),
        (
            COUNTS,
            told(saved=9, duplicates=None),
            {"repeats": Repeats(held_before=1), "grown": 0},
            6,
            Skipped,
        ),
        (
            COUNTS,
            told(saved=9, duplicates=None),
            {"repeats": Repeats(), "proof": Proof(columns=("id",))},
            6,
            Skipped,
        ),
        (COUNTS, told(digest="other"), {"proof": PROOF}, 7, Failure),
        (COUNTS, told(), {"proof": PROOF}, 7, Skipped),
    ],
)
def test_every_reason_for_a_verdict_has_its_case(
    counts: Counts, session: SessionView, more: dict[str, Any], case: int, kind: type
) -> None:
    more = {"repeats": None, "proof": NO_PROOF, **more}
    verdict, findings = judge(counts, "1", "2", session, **more)
    cases = {one.name: one.result for one in parsed(judged(verdict, *findings, counts=counts, session=session))}
    assert [type(one) for one in cases[CASES[case]]] == [kind], findings
    assert bool(cases[CASES[0]]) is (verdict != Verdict.KEPT)
    # A broken promise has its failure among the cases, and a kept one has none.
    failed = [name for name in CASES[1:] if any(isinstance(one, Failure) for one in cases[name])]
    assert bool(failed) is (verdict == Verdict.BROKEN)


@pytest.mark.parametrize(
    ("changes", "case", "why"),
    [
        ({"session": SessionView("s", None, 9, digest="d")}, 6, "does not report how many rows it received"),
        ({"session": SessionView("s", 10, None, digest="d")}, 6, "does not report how many rows it saved"),
        ({"session": None}, 6, "does not report how many rows it received and saved"),
        ({"session": SessionView("s", 10, 10)}, 7, "there are no two digests to compare"),
        ({"digest": None}, 7, "there are no two digests to compare"),
        ({"session": SessionView("s", None, None, digest="d")}, 7, "there are no two digests to compare"),
        ({"counts": replace(COUNTS, confirmed=9, returned=1)}, 7, "not every row reached the consumer"),
        ({"earlier": (EarlierSession(SessionView("e", 1, 1), 1, 1),)}, 7, "rows of earlier sessions rest on counts"),
        ({"session": SessionView("s", 10, None, digest="d")}, 8, "does not report how many rows it saved"),
    ],
)
def test_what_nobody_judged_does_not_pass_although_nothing_speaks_against_it(
    changes: dict[str, Any], case: int, why: str
) -> None:
    whole = {"counts": COUNTS, "session": replace(TOLD, digest="d"), "digest": "d"}
    assert not any(results(parsed(ended(**whole))).values())
    told = results(parsed(ended(Verdict.UNKNOWN, **{**whole, **changes})))[CASES[case]]
    assert told.startswith("Skipped: not judged: ") and why in told


def test_a_run_that_saves_nothing_new_has_a_case_that_does_not_pass() -> None:
    session = SessionView("s", 10, 0, 10, 0, digest="d")
    told = results(parsed(ended(counts=COUNTS, session=session, digest="d")))
    assert told[CASES[0]] == ""
    assert told[CASES[8]].startswith("Skipped: Nothing was saved") and "Empty the table first" in told[CASES[8]]


def test_failures_name_the_reason_first_then_lines_and_rows() -> None:
    missing = [{"line": n + 1, "row": n, "fate": "missing", "reason": "never received"} for n in range(7, 40)]
    rows = [
        {"line": 4, "row": None, "fate": "rejected", "reason": "has 1 field, not 2"},
        {"line": 5001, "row": 4999, "fate": "nacked", "reason": ""},
        *missing,
    ]
    run = encode_run(judged(Verdict.BROKEN, NOT_RECEIVED, NACKED))
    suite = read(junit.report(run, None, "data.csv", "localhost", rows=rows))
    told = {name: text.splitlines() for name, text in results(suite).items()}
    assert told[CASES[3]] == [f"Failure: {explain(NACKED)}", "line 5,001, row 4,999: nacked"]
    assert told[CASES[5]][:2] == [f"Failure: {explain(NOT_RECEIVED)}", "line 8, row 7: missing, never received"]
    assert len(told[CASES[5]]) == 21 and told[CASES[1]][1] == "line 4: rejected, has 1 field, not 2"
    assert told[CASES[0]][2] == "line 5,001, row 4,999: nacked" and len(told[CASES[0]]) == 22
    assert next(case.result[0].message for case in suite if case.name == CASES[5]) == explain(NOT_RECEIVED)


def test_each_clause_of_a_gate_has_a_case() -> None:
    gate = parse_gate("saved < accepted or rejected > 1% or p99 > 50ms or saved < accepted")
    parameters = Parameters(fail_if=gate)
    told = results(parsed(ended(parameters=parameters)))
    assert {name: text for name, text in told.items() if name not in CASES} == {
        "gate: saved < accepted": "Failure: saved < accepted: 99,000 < 100,000",
        "gate: rejected > 1%": "",
        "gate: p99 > 50ms": "Skipped: not judged: p99 > 50ms: unknown > 50 ms, because nobody told p99",
    }
    stopped = results(parsed(report(state=State.CANCELLED, parameters=parameters)))
    assert {text for name, text in stopped.items() if name not in CASES} == {
        "Skipped: not judged: the run is cancelled, and there is no verdict"
    }


def test_a_report_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "report.xml"
    place.write_bytes(b"before")
    place.chmod(0o640)
    monkeypatch.setattr("os.fsync", disk_is_full)
    with pytest.raises(OSError, match="No space"):
        junit.write(place, b"after")
    assert place.read_bytes() == b"before"
    monkeypatch.undo()
    junit.write(place, b"after")
    assert place.read_bytes() == b"after" and stat.S_IMODE(place.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [place]


def disk_is_full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_new_one_is_for_others_to_read_and_a_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real.xml", tmp_path / "link.xml"
    link.symlink_to(real)
    junit.write(link, b"x")
    assert link.is_symlink() and real.read_bytes() == b"x"
    assert real.stat().st_mode & 0o044


def test_what_is_no_file_is_written_to_as_it_is() -> None:
    junit.write(Path("/dev/null"), b"x")
    assert Path("/dev/null").is_char_device()


def test_where_no_report_can_be_written_is_known_before(tmp_path: Path) -> None:
    junit.check_place(tmp_path / "new.xml")
    for place in (tmp_path, tmp_path / "nowhere" / "report.xml"):
        with pytest.raises(BadParameter, match="there can be no file"):
            junit.check_place(place)


@pytest.mark.parametrize(("code", "says"), [("broker_refused", "set_permissions"), ("cancelled", None)])
def test_a_failed_run_says_what_to_do_and_a_stopped_one_nothing(
    code: str, says: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = encode_run(report(state=State.FAILED, error=Fault(code, "It went wrong.")))
    print_run(run, "text")
    assert ("what to do" in capsys.readouterr().out) == (says is not None)
    with pytest.raises(PromisePubError) as caught:
        exit_code(run)
    assert (says in caught.value.details[0]) if says else (caught.value.details == ())
