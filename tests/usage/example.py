"""The example of docs/usage.md: its logins, and for each of its commands the rows that the page shows."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from promise_pub.features.usage.records import Action
from promise_pub.features.usage.settings import UsageSettings
from tests import documents
from tests.usage.fake_usage import Happened

_PAGE = documents.ROOT / "docs" / "usage.md"
ZONE = ZoneInfo("Europe/Berlin")
SETTINGS = UsageSettings(timezone=ZONE, start=date(2025, 12, 1))
THROUGH = datetime(2026, 2, 6, 1, 30, tzinfo=ZONE)
NOW = datetime(2026, 2, 6, 9, tzinfo=ZONE)


class Shown(NamedTuple):
    """A question by the options of its command, and the lines of CSV below it."""

    options: Sequence[str]
    lines: list[list[str]]

    @property
    def given(self) -> Mapping[str, str]:
        """The same as parameters."""
        names = [word.removeprefix("--").replace("by", "aggregate") for word in self.options[::2]]
        return dict(zip(names, self.options[1::2], strict=True))


def logins() -> list[Happened]:
    (block,) = [block.text for block in documents.blocks(_PAGE) if block.text.startswith("user,at\n")]
    rows = csv.DictReader(block.splitlines())
    return [(Action.LOGIN, row["user"], datetime.fromisoformat(row["at"])) for row in rows]


def shown() -> Iterator[Shown]:
    blocks = documents.blocks(_PAGE)
    for asked, answer in zip(blocks, blocks[1:], strict=False):
        if answer.text.startswith("period,"):
            _, _, *options, _, _ = shlex.split(asked.text)  # the program, its command; and its format
            yield Shown(options, [*csv.reader(answer.text.splitlines())])
