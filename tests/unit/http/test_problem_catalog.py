"""The catalogue of errors: each that people can meet has a status, a title, and says what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from promise_pub import errors
from promise_pub.http import problem_catalog
from promise_pub.http.problem_catalog import (
    CATALOG,
    Entry,
    Kind,
    add_entries,
    advise,
    advise_on_status,
    find_entry,
    title_of,
)

KINDS = [kind for kind in errors.find_classes() if kind.__module__ == errors.__name__]
STOPPED_BY_SOMEBODY = (errors.Cancelled, errors.Interrupted)


def test_every_class_of_error_has_an_entry_and_a_code_of_its_own() -> None:
    assert set(KINDS) == {kind for kind in CATALOG if kind.__module__ == errors.__name__}
    assert len({kind.code for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in STOPPED_BY_SOMEBODY])
def test_every_error_says_what_to_do(kind: Kind) -> None:
    assert advise(kind).endswith(".")
    assert title_of(find_entry(kind).status)


@pytest.mark.parametrize("kind", STOPPED_BY_SOMEBODY)
def test_of_a_run_that_somebody_stopped_there_is_nothing_to_say(kind: Kind) -> None:
    assert advise(kind) == ""


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 421, 422, 429, 500, 502, 503, 507])
def test_every_status_has_words_of_its_own(status: int) -> None:
    assert advise_on_status(status).endswith(".")
    assert (title_of(status), advise_on_status(status)) in problem_catalog._STATUSES.values()


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_found_by_its_code(kind: Kind) -> None:
    assert errors.find_class(kind.code) is kind


def test_a_code_of_another_version_is_that_of_an_error() -> None:
    assert errors.find_class("of the future") is errors.PromisePubError


def test_what_quotes_the_consumer_is_known_to_the_log() -> None:
    quoting = {kind for kind in KINDS if kind.quotes_peer}
    assert quoting == {errors.ConsumerComplaint, errors.ConsumerGarbage, errors.ConsumerRefused, errors.SessionLost}


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
def test_who_answered_is_not_said_to_be_away(kind: Kind) -> None:
    assert advise(kind) not in {advise_on_status(status) for status in (502, 503)}


def test_a_status_nobody_thought_of_has_the_title_of_http() -> None:
    assert title_of(417) == "Expectation Failed" and advise_on_status(417) == ""


class OfAFeature(errors.RunNotFound):
    """The source is unknown."""

    code = "source_unknown"


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(problem_catalog, "CATALOG", {**CATALOG})
    add_entries({OfAFeature: Entry(410, "Add the source again.")})
    yield


def test_a_feature_adds_its_own_errors(added: None) -> None:
    assert (find_entry(OfAFeature).status, advise(OfAFeature)) == (410, "Add the source again.")


def test_without_an_entry_an_error_is_as_the_one_above_it() -> None:
    assert (find_entry(OfAFeature).status, advise(OfAFeature)) == (404, advise(errors.RunNotFound))
