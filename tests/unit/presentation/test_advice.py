"""Errors in people's words: each that a page can show says what happened and what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from promise_pub import errors
from promise_pub.http.problems import status_of
from promise_pub.presentation import advice
from promise_pub.presentation.advice import title_of, what_to_do


def kinds(kind: type[errors.PromisePubError]) -> Iterator[type[errors.PromisePubError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


@pytest.mark.parametrize("kind", [*kinds(errors.PromisePubError)])
def test_every_error_says_what_to_do(kind: type[errors.PromisePubError]) -> None:
    status = status_of(kind)
    assert what_to_do(status, kind.code).endswith(".")
    assert title_of(status)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 421, 422, 429, 500, 502, 503, 507])
def test_every_status_has_words_of_its_own(status: int) -> None:
    assert what_to_do(status, f"http_{status}").endswith(".")
    assert title_of(status) in advice._TITLES.values()


def test_what_is_said_of_a_code_is_of_one_there_is() -> None:
    codes = {kind.code for kind in kinds(errors.PromisePubError)}
    assert set(advice._BY_CODE) <= codes


@pytest.mark.parametrize(
    "kind",
    [
        errors.ConsumerRefused,
        errors.ConsumerComplaint,
        errors.ConsumerGarbage,
        errors.ConsumerStalled,
        errors.SessionLost,
        errors.QueueGone,
        errors.BrokerRefused,
        errors.DatabaseRefused,
    ],
)
def test_who_answered_is_not_said_to_be_away(kind: type[errors.PromisePubError]) -> None:
    away = {what_to_do(status, "") for status in (502, 503)}
    assert what_to_do(status_of(kind), kind.code) not in away


def test_a_status_nobody_thought_of_has_the_title_of_http() -> None:
    assert title_of(417) == "Expectation Failed" and what_to_do(417, "http_417") == ""
