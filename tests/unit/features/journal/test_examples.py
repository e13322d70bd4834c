"""Patterns of topics that help, the API's description and the pages show: they find promise-pub's own events."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

import pytest

from promise_pub.cli.arguments import parse
from promise_pub.features.journal.api import OPERATIONS
from promise_pub.features.journal.described import BODIES
from promise_pub.features.journal.feature import FEATURE
from promise_pub.features.journal.settings import BusSettings
from promise_pub.topics import matches
from tests.documents import ROOT

PATTERN = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?:\*(?!\*)|#|%23)")
TOPICS = [f"{BusSettings().prefix}.{topic}" for topic in BODIES]


def _check(text: str) -> None:
    shown = {unquote(pattern) for pattern in PATTERN.findall(text)}
    assert shown
    assert [pattern for pattern in shown if not any(matches(pattern, topic) for topic in TOPICS)] == []


@pytest.mark.parametrize("page", ["cli.md", "http-api.md", "journal.md"])
def test_pages_show_patterns_that_find_something(page: str) -> None:
    _check((ROOT / "docs" / page).read_text(encoding="utf-8"))


def test_the_help_shows_patterns_that_find_something(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["journal", "--help"], [FEATURE])
    _check(capsys.readouterr().out)


def test_the_description_of_the_api_shows_patterns_that_find_something() -> None:
    _check(json.dumps(OPERATIONS["GET", "/journal"]()))
