"""The graph of transitions in a real browser: all of it is seen, nothing covers a name, and pages bring out their ways."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader
from playwright.async_api import Browser, Locator, Page

from promise_pub.features.visits.chains import Chains
from promise_pub.features.visits.render.svg import draw_svg, draw_svg_file
from promise_pub.features.visits.render.svg.layout import HITS_SIZE, NAME_SIZE
from promise_pub.presentation.text_size import width_of
from promise_pub.presentation.wording import thousands
from tests.browser_parts import PATIENCE, findings, overflows, tab_to
from tests.visits.graph_parts import SITE, every_page_to_every_page, some_chains

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[3]
VISITS = ROOT / "promise_pub" / "features" / "visits"
RULES = (VISITS / "static" / "graph.css").read_text()
STYLESHEETS = "".join(
    f"<style>{rules}</style>"
    for rules in ((ROOT / "static" / "style.css").read_text(), (VISITS / "static" / "visits.css").read_text(), RULES)
)
TEMPLATES = Environment(loader=FileSystemLoader(VISITS / "templates"), autoescape=True)
TEMPLATES.filters["thousands"] = thousands
SIZES = {"name": NAME_SIZE, "hits": HITS_SIZE}
TWELVE = {
    "real": SITE,
    "dense": every_page_to_every_page(12),
    "random": some_chains(12, seed=4),
    "long": some_chains(40, seed=2),
}
# What a browser knows of every text that it shows, in the units of its drawing.
TEXTS = """(drawing) => [...drawing.querySelectorAll("text")].map((text) => {
    const {x, y, width, height} = text.getBBox();
    return {text: text.textContent, look: text.classList[0], x, y, width, height};
})"""
# What reaches over the border of a drawing: lines, heads, pages, texts.
OUTSIDE = """(drawing) => {
    const view = drawing.viewBox.baseVal;
    return [...drawing.querySelectorAll("path:not(.reach), circle, text")].filter((one) => {
        const {x, y, width, height} = one.getBBox();
        return x < view.x || y < view.y || x + width > view.x + view.width || y + height > view.y + view.height;
    }).map((one) => one.outerHTML);
}"""


async def shown(browser: Browser, chains: Chains, width: int = 1200, *, dark: bool = False) -> tuple[Page, Locator]:
    """A page with the graph as pages have it, without its tables; and its drawing."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    figure = TEMPLATES.get_template("parts.html").module.figure(draw_svg(chains))
    await page.set_content(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Visits</title>'
        f'<meta name="viewport" content="width=device-width">{STYLESHEETS}<main><h1>Visits</h1>{figure}</main></html>'
    )
    return page, page.locator("svg.transitions")


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(
        one["x"] < other["x"] + other["width"]
        and other["x"] < one["x"] + one["width"]
        and one["y"] < other["y"] + other["height"]
        and other["y"] < one["y"] + one["height"]
    )


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("which", TWELVE)
async def test_nothing_is_covered_or_cut_off(browser: Browser, which: str, width: int) -> None:
    page, drawing = await shown(browser, TWELVE[which], width)
    written = await drawing.evaluate(TEXTS)
    assert len(written) >= 2 * 12
    for one, other in combinations(written, 2):
        assert not overlap(one, other), f"{one} and {other}"
    assert await drawing.evaluate(OUTSIDE) == []
    assert not await overflows(page)


async def test_a_narrow_screen_scrolls_the_graph_alone(browser: Browser) -> None:
    page, _ = await shown(browser, TWELVE["long"], 360)
    region = page.get_by_role("region", name="Graph of page transitions")
    sizes = "(one) => [one.scrollWidth, one.clientWidth]"
    whole, seen = await region.evaluate(sizes)
    assert whole > seen and not await overflows(page)
    await tab_to(page, ".graph .wide")
    await page.keyboard.press("ArrowRight")
    await page.wait_for_function("document.querySelector('.graph .wide').scrollLeft > 0")
    wide, _ = await shown(browser, TWELVE["long"])
    whole, seen = await wide.locator(".graph .wide").evaluate(sizes)
    assert whole == seen


@pytest.mark.parametrize("width", [1200, 360])
async def test_texts_take_no_more_room_than_was_reckoned_with(browser: Browser, width: int) -> None:
    for chains in TWELVE.values():
        _, drawing = await shown(browser, chains, width)
        for one in await drawing.evaluate(TEXTS):
            assert one["width"] <= width_of(one["text"], SIZES[one["look"]]), one["text"]


@pytest.mark.parametrize("width", [1200, 360])
async def test_letters_are_large_enough_to_be_read(browser: Browser, width: int) -> None:
    _, drawing = await shown(browser, TWELVE["dense"], width)
    heights = await drawing.evaluate(
        '(drawing) => [...drawing.querySelectorAll("text")].map((one) => one.getBoundingClientRect().height)'
    )
    assert min(heights) > 10  # pixels, of a whole line


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
async def test_it_is_sound_for_everybody(browser: Browser, width: int, dark: bool) -> None:
    page, _ = await shown(browser, SITE, width, dark=dark)
    assert await findings(page) == []


async def edges(drawing: Locator, which: str) -> set[str]:
    """The opacities of edges, when nothing moves any more."""
    await drawing.page.wait_for_timeout(400)
    found = await drawing.locator(which).evaluate_all("(all) => all.map((one) => getComputedStyle(one).opacity)")
    return set(found)


async def test_a_page_that_one_points_at_brings_out_its_ways(browser: Browser) -> None:
    page, drawing = await shown(browser, SITE)
    assert await edges(drawing, ".edge") == {"1"}
    await drawing.locator(".page", has=page.locator("title", has_text="/login:")).locator(".dot").hover()
    assert await edges(drawing, ".page:hover .edge") == {"1"}
    assert await edges(drawing, ".page:hover .edge.weak .way") == {"1"}
    assert await edges(drawing, ".page:not(:hover) .edge") == {"0.07"}


async def test_the_exit_brings_out_where_people_left(browser: Browser) -> None:
    _, drawing = await shown(browser, SITE)
    await drawing.locator(".exit .dot").hover()
    assert await edges(drawing, ".edge.leaving") == {"1"}
    assert await edges(drawing, ".edge:not(.leaving)") == {"0.07"}


async def test_the_keyboard_does_the_same(browser: Browser) -> None:
    page, drawing = await shown(browser, SITE)
    await tab_to(page, ".transitions .page:nth-child(3)")
    assert await edges(drawing, ".page:nth-child(3) .edge") == {"1"}
    assert await edges(drawing, ".page:nth-child(1) .edge") == {"0.07"}


async def test_by_itself_it_is_a_picture_with_its_own_colours(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "transitions.svg"
    file.write_text(draw_svg_file(SITE, RULES))
    colours = set()
    for scheme in ("light", "dark"):
        page = await browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
        await page.goto(file.as_uri())
        ground = page.locator(".ground")
        colours.add(await ground.evaluate("(one) => getComputedStyle(one).fill"))
        assert await page.locator("svg").evaluate(OUTSIDE) == []
    assert colours == {"rgb(255, 255, 255)", "rgb(26, 32, 34)"}
