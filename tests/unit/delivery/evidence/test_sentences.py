"""The sentence of a finding: each kind has one. What they say, the tests of the verdict compare."""

from __future__ import annotations

import pytest

from promise_pub.delivery.evidence import sentences
from promise_pub.delivery.evidence.sentences import explain
from promise_pub.records import Finding, FindingKind, Verdict


def test_every_kind_of_finding_has_a_sentence() -> None:
    assert set(sentences._SENTENCES) == set(FindingKind)


@pytest.mark.parametrize(
    ("rows", "numbers", "says"),
    [
        (1, "7", "1 row was confirmed and never received: 7"),
        (1_200, "", "1,200 rows were confirmed and never received"),
    ],
)
def test_one_row_and_many_are_counted_in_good_english(rows: int, numbers: str, says: str) -> None:
    finding = Finding(FindingKind.NOT_RECEIVED, Verdict.BROKEN, rows, {"numbers": numbers})
    assert explain(finding) == says


def test_a_column_is_shown_as_it_is_whatever_it_holds() -> None:
    finding = Finding(FindingKind.NOT_USABLE, Verdict.BROKEN, 2, {"lacking": {"mail": "{mail}", "name": None}})
    assert explain(finding) == (
        "2 rows were received, but of no use to the consumer: it reads 'name' and 'mail', and "
        "'{mail}' is not 'mail' and there is no 'name'"
    )
