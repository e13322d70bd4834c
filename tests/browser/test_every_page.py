"""What holds for every page: nothing serious that axe-core finds, no sideways scrolling on a phone, in both themes."""

from __future__ import annotations

import pytest

from promise_pub.app import FEATURES
from tests.browser_parts import IN_EACH_LOOK, Eye, findings, overflows
from tests.web_parts import ServerUnderTest

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILE = b"Ann,ann@example.com\nBob,bob@example.com\nAnn again,ann@example.com\nno comma here\n"
PAGES = (
    *("/", "/runs", "/runs/{id}", "/runs/{id}/rows", "/compare", "/nowhere"),
    *(item.url for feature in FEATURES for item in feature.nav),
)


@IN_EACH_LOOK
async def test_pages_are_sound_for_everybody(
    eye: Eye, server: ServerUnderTest, size: tuple[int, int], dark: bool
) -> None:
    run = (await server.send(FILE, "?timeout=0&mode=batch")).json
    for path in PAGES:
        page = await eye.look(path.format(id=run["id"]), size=size, dark=dark)
        if path == "/nowhere":  # Chromium notes the 404 that was asked for
            eye.complaints.clear()
        assert await findings(page) == [], path
        assert not await overflows(page), path
