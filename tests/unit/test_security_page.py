"""docs/security.md: its tables of bounds name every route, and tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import web

from promise_pub.app import FEATURES
from promise_pub.http import login
from tests.documents import ROOT
from tests.listening import site

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## What a client can cost")[2].partition("\n## ")[0]
ROWS = [line.strip("|").split("|") for line in SECTION.splitlines() if line.startswith("|")]


async def test_every_route_has_its_row(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        resources = {resource.canonical for resource in there.app.router.resources()}
    resources |= {
        route.path
        for room in (login, *(one for one in FEATURES))
        for route in room.routes
        if isinstance(route, web.RouteDef)
    }
    named = {name for row in ROWS for name in re.findall(r"`(/[^`]*)`", row[0])}
    assert named == resources | {"/static/visits", "/static/journal", "/static/stats", "/static/usage", "/static/jobs"}


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(tests/[^`]+\.py)`", PAGE)
    assert len(named) > 20
    for name in named:
        assert "def test_" in (ROOT / name).read_text(encoding="utf-8"), name


def test_every_bound_has_a_test() -> None:
    header, _, *rows = ROWS[: next(n for n, row in enumerate(ROWS) if row[0].strip() == "routes")]
    assert [cell.strip() for cell in header] == ["", "not logged in", "viewer", "operator", "tests"]
    assert len(rows) > 10
    for row in rows:
        assert "`tests/" in row[-1], row[0]
