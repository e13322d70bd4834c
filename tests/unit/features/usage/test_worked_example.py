"""The example of docs/usage.md, counted by hand there, and by brute force here."""

from __future__ import annotations

import pytest

from promise_pub.features.usage import report
from promise_pub.features.usage.asked import parse_question
from tests.usage import example
from tests.usage.fake_usage import FakeUsage


@pytest.mark.parametrize("shown", [*example.shown()], ids=lambda shown: " ".join(shown.given.values()))
async def test_the_rows_of_the_page_are_those_of_its_logins(shown: example.Shown) -> None:
    usage = FakeUsage(example.SETTINGS)
    usage.add(example.logins(), example.THROUGH)
    found = await usage.count(parse_question(shown.given, example.NOW, example.ZONE))
    assert [[*report.COLUMNS], *([str(cell) for cell in row] for row in report.cells(found))] == shown.lines


async def test_users_of_weeks_do_not_add_up_to_those_of_all_weeks() -> None:
    usage = FakeUsage(example.SETTINGS)
    usage.add(example.logins(), example.THROUGH)
    (weeks,) = [one for one in example.shown() if one.given.get("aggregate") == "week"]
    found = await usage.count(parse_question(weeks.given, example.NOW, example.ZONE))
    assert (sum(one.users for one in found.periods), found.users) == (5, 3)
    assert len(example.logins()) == 8 and len([*example.shown()]) == 4
