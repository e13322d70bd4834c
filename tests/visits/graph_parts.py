"""Chains of pages for the tests that draw them."""

from __future__ import annotations

import random
from collections.abc import Mapping

from promise_pub.features.visits.chains import EXIT, Chains, Step, build_chains

PAGES = (
    "/",
    "/runs",
    "/runs/{id}",
    "/runs/{id}/rejects",
    "/visits/{session_id}",
    "/simulate/",
    "/compare",
    "/visits",
    "/docs",
    "/login",
    "not found",
    "/a/very/long/address/of/rejected/rows/{id}",
    "/metrics",
    "/OPENAPI.JSON",
    "WWW",
)


def walked(counts: Mapping[str, Mapping[str, int]]) -> Chains:
    """Chains by how often people went from a page to each other."""
    return build_chains(
        Step(page, False, None if target == EXIT else target, target == EXIT, count)
        for page, targets in counts.items()
        for target, count in targets.items()
    )


SITE = walked(
    {
        "/": {"/": 40, "/runs": 300, "/simulate/": 260, "/docs": 70, "/visits": 40, "exit": 220},
        "/simulate/": {"/runs/{id}": 240, "/": 30, "exit": 8},
        "/runs/{id}": {"/runs/{id}": 150, "/runs": 190, "/": 120, "/compare": 35, "exit": 170}
        | {"/runs/{id}/rejects": 60},
        "/runs": {"/runs": 80, "/runs/{id}": 280, "/compare": 90, "/": 70, "exit": 60, "/docs": 9},
        "/compare": {"/compare": 25, "/runs": 50, "/runs/{id}": 40, "exit": 25},
        "/docs": {"/": 25, "exit": 45, "/docs": 12, "/runs": 5},
        "/visits": {"/visits": 20, "/visits/{session_id}": 35, "/": 10, "exit": 12},
        "/visits/{session_id}": {"/visits": 22, "/visits/{session_id}": 6, "exit": 9},
        "/login": {"/": 110, "/runs": 15, "/login": 12, "exit": 7},
        "not found": {"/": 5, "exit": 9},
        "/runs/{id}/rejects": {"/runs/{id}": 45, "exit": 15},
    }
)
"""As people go through promise-pub's own pages."""


def every_page_to_every_page(count: int) -> Chains:
    pages = PAGES[:count]
    return walked({page: dict.fromkeys([*pages, EXIT], 20) for page in pages})


def some_chains(count: int, seed: int) -> Chains:
    """So many pages, of which a few are hit often and most seldom."""
    chance = random.Random(seed)
    pages = [*PAGES, *(f"/page/{number}/of/{{id}}" for number in range(100))][:count]
    steps = [
        Step(page, False, target, False, 1 + int(9000 * chance.random() ** 4 / rank))
        for rank, page in enumerate(pages, 1)
        for target in pages
        if chance.random() < 0.35
    ]
    leaving = [Step(page, True, None, True, chance.randint(1, 400)) for page in pages]
    return build_chains(steps + leaving)
