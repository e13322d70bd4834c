from __future__ import annotations

from datetime import UTC, datetime

import pytest

from promise_pub.features.events.sources.clocks import first_year
from promise_pub.features.events.sources.months import scan_months
from tests.unit.features.events.sources.sample_types import Plain, Yearless


@pytest.mark.parametrize("size", [1, 5, 1_000])
def test_months_are_found_by_name_or_number_and_what_begins_with_none_is_passed_over(size: int) -> None:
    content = b"11-30 a\nnothing\nDec 1 b\nJanuary 2 c\nXyz 3 d\n13-01 e\n00-01 f\n02-01 g"
    chunks = [content[start : start + size] for start in range(0, len(content), size)]

    assert [*scan_months(Yearless(), chunks)] == [11, 12, 1, 2]
    assert first_year([11, 12, 1, 2], datetime(2026, 3, 1, tzinfo=UTC)) == 2025


def test_a_type_whose_times_have_a_year_has_no_months() -> None:
    assert [*scan_months(Plain(), [b"1 a\n"])] == []
