"""A run's JSON, read back as far as it is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from promise_pub.cli.picture import line
from promise_pub.errors import ServerAnswerError
from promise_pub.presentation.gauges import gauges
from promise_pub.presentation.run_json import decode_run, encode_run
from promise_pub.records import EarlierSession, Fault, Finding, FindingKind, RunReport, SessionView, State, Verdict
from tests.run_parts import ended, report


@pytest.mark.parametrize(
    "run",
    [
        report(),
        report(session=None, blocked=True),
        report(state=State.QUEUED, position=2),
        report(started_by="ci"),
        report(state=State.FAILED, error=Fault("queue_gone", "It is gone.")),
        report(earlier=(EarlierSession(SessionView("a", saved=7), 1, 9),)),
        ended(
            Verdict.BROKEN,
            "1 row was confirmed and never received",
            findings=(Finding(FindingKind.NOT_RECEIVED, Verdict.BROKEN, 1),),
        ),
    ],
)
def test_what_was_told_is_shown_as_what_is_known(run: RunReport) -> None:
    told = decode_run(encode_run(run))
    assert line(told) == line(run)
    assert gauges(told) == gauges(run)
    assert (told.verdict, told.explanation, told.file) == (run.verdict, run.explanation, run.file)
    assert told.findings == run.findings


def test_a_finding_that_only_a_newer_server_knows_is_left_out() -> None:
    told = encode_run(ended(Verdict.BROKEN, "why"))
    told["findings"] = [{"kind": "of the future", "verdict": "broken", "rows": None}]
    assert (decode_run(told).findings, decode_run(told).explanation) == ((), ("why",))


def test_a_server_without_findings_is_read_all_the_same() -> None:
    assert decode_run(without("findings")).findings == ()


@pytest.mark.parametrize(
    "name", ["started_at", "finished_at", "clear", "profile", "confirm_ms", "resends", "returned_rows"]
)
def test_a_server_that_does_not_tell_what_is_not_shown_is_read_all_the_same(name: str) -> None:
    assert line(decode_run(without(name))) == line(report())


def test_the_rows_that_a_session_did_not_save_are_not_in_the_json_of_its_run() -> None:
    """They can be long, and a page that follows a run gets its JSON five times a second."""
    session = SessionView("a", 3, 1, 1, 1, duplicate_rows="2", invalid_rows="3")
    told = encode_run(replace(report(), session=session, earlier=(EarlierSession(session, 1, 3),)))
    assert told["session"] == {"uuid": "a", "received": 3, "saved": 1, "duplicates": 1, "invalid": 1}
    assert told["earlier_sessions"][0]["session"] == told["session"]


def test_a_session_without_counts_is_one_that_did_not_report_them() -> None:
    told = encode_run(report()) | {"session": {"uuid": "a"}}
    assert decode_run(told).session == SessionView("a")


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in encode_run(report()).items() if key != name}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        without("rows"),
        encode_run(report()) | {"state": "dreaming"},
        encode_run(report()) | {"rows": []},
        encode_run(report()) | {"created_at": "yesterday"},
        encode_run(report()) | {"seconds": None},
        encode_run(report()) | {"profile": "as fast as it can"},
    ],
)
def test_what_is_no_run_is_said_to_be_none(answer: dict[str, Any]) -> None:
    with pytest.raises(ServerAnswerError, match="is no run"):
        decode_run(answer)
