"""Errors of visits: each has an entry of its own in the catalogue, and answers that may have one say so."""

from __future__ import annotations

from pathlib import Path

from promise_pub.errors import PromisePubError
from promise_pub.features.visits import errors
from promise_pub.features.visits.feature import FEATURE
from promise_pub.http.features import OpenFeature
from promise_pub.http.problem_catalog import advise, find_entry
from promise_pub.web.docs import page
from tests.web_house import House


def test_every_error_has_an_entry() -> None:
    own = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    assert own and all(issubclass(kind, PromisePubError) for kind in own)
    assert set(own) == set(FEATURE.errors)


def test_answers_list_the_codes_that_they_may_have(tmp_path: Path) -> None:
    app = House(tmp_path).app(OpenFeature(feature=FEATURE))
    codes = app[page.DESCRIPTION]["components"]["schemas"]["Code"]["anyOf"][0]["enum"]
    assert "session_not_found" in codes and "import_refused" not in codes
    assert find_entry(errors.SessionNotFound).status == 404
    assert advise(errors.SessionNotFound).startswith("Find it in the list of visits.")
