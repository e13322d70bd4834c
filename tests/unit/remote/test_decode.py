"""A run's JSON, read back as far as it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from promise_pub.cli.picture import line
from promise_pub.errors import ServerAnswerError
from promise_pub.presentation.gauges import gauges
from promise_pub.records import EarlierSession, Fault, Finding, FindingKind, RunReport, SessionView, State, Verdict
from promise_pub.remote.decode import as_report
from tests.run_parts import ended, report


@pytest.mark.parametrize(
    "run",
    [
        report(),
        report(session=None, blocked=True),
        report(state=State.QUEUED, position=2),
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
    told = as_report(run.as_json())
    assert line(told) == line(run)
    assert gauges(told) == gauges(run)
    assert (told.verdict, told.explanation, told.file) == (run.verdict, run.explanation, run.file)
    assert told.findings == run.findings


def test_a_finding_that_only_a_newer_server_knows_is_left_out() -> None:
    told = ended(Verdict.BROKEN, "why").as_json()
    told["findings"] = [{"kind": "of the future", "verdict": "broken", "rows": None}]
    assert (as_report(told).findings, as_report(told).explanation) == ((), ("why",))


def test_a_server_without_findings_is_read_all_the_same() -> None:
    assert as_report(without("findings")).findings == ()


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in report().as_json().items() if key != name}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        without("rows"),
        report().as_json() | {"state": "dreaming"},
        report().as_json() | {"rows": []},
        report().as_json() | {"created_at": "yesterday"},
        report().as_json() | {"seconds": None},
    ],
)
def test_what_is_no_run_is_said_to_be_none(answer: dict[str, Any]) -> None:
    with pytest.raises(ServerAnswerError, match="is no run"):
        as_report(answer)
