"""What a client sends: which of it is a run's parameter, and what else."""

from __future__ import annotations

import pytest

from promise_pub.errors import BadParameter
from promise_pub.parameters import Parameters
from promise_pub.web.runs.forms import parse_request


def test_what_a_browser_sends_of_fields_nobody_filled_in_is_not_asked_for() -> None:
    fields = {"columns": "", "profile": "", "fail_if": "", "rate": "5"}
    assert parse_request({}, fields) == (Parameters(rate=5), False)
    assert parse_request({"columns": "a"}, fields) == (Parameters(rate=5, columns=("a",)), False)


def test_a_dry_run_is_no_parameter_of_a_run() -> None:
    assert parse_request({"dry_run": "true", "rate": "5"}, {}) == (Parameters(rate=5), True)
    assert parse_request({"dry_run": "false"}, {"dry_run": "true"}) == (Parameters(), False)


def test_an_unknown_parameter_is_named_with_those_there_are() -> None:
    with pytest.raises(BadParameter) as error:
        parse_request({"colums": "a"}, {})
    assert "There is no parameter 'colums': there are mode, timeout, clear, rate, profile, " in error.value.message
