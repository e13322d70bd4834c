"""The example of docs/usage.md, from its logins in the journal to the rows that the page shows."""

from __future__ import annotations

from datetime import date

from promise_pub.features.usage import report
from promise_pub.features.usage.asked import parse_question
from promise_pub.features.usage.records import Action
from tests.usage import example
from tests.usage.fake_usage import FakeUsage
from tests.usage.site import Site


async def condensed(site: Site) -> None:
    site.settings, site.now = example.SETTINGS, example.THROUGH
    await site.log_in(*((actor, at) for _, actor, at in example.logins()))
    await site.condense()


async def test_condensed_from_the_journal_each_question_has_the_rows_of_the_page(site: Site) -> None:
    await condensed(site)
    for shown in example.shown():
        found = await site.usage.count(parse_question(shown.given, example.NOW, example.ZONE))
        assert [[*report.COLUMNS], *([str(cell) for cell in row] for row in report.cells(found))] == shown.lines


async def test_usage_in_memory_tells_the_same(site: Site) -> None:
    await condensed(site)
    fake = FakeUsage(example.SETTINGS)
    fake.add(example.logins(), example.THROUGH)
    for shown in example.shown():
        question = parse_question(shown.given, example.NOW, example.ZONE)
        assert await fake.count(question) == await site.usage.count(question)
    for day in (date(2026, 1, 5), date(2026, 1, 12), date(2026, 1, 13), date(2026, 1, 14)):
        assert [*await fake.day(day, Action.LOGIN)] == [*await site.usage.day(day, Action.LOGIN)]
