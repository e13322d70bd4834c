"""README.md and docs/: their links lead somewhere, and what they list is what there is."""

from __future__ import annotations

import argparse
import re
import runpy
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from promise_pub.app import FEATURES, sections_of
from promise_pub.cli.arguments import _parser
from promise_pub.delivery.evidence.digest import MODULUS, fingerprint, written
from promise_pub.parameters import PARAMETERS
from promise_pub.settings import model
from promise_pub.web.docs.operations import OPERATIONS
from tests import documents
from tests.documents import PAGES, ROOT, blocks

DOCS = ROOT / "docs"
TO_PEOPLE = re.compile(r"https?://")


@pytest.mark.parametrize("page", PAGES, ids=documents.shown)
def test_every_link_leads_to_a_file_or_a_heading(page: Path) -> None:
    for link in documents.links(page):
        if TO_PEOPLE.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in documents.anchors(target), link


def test_links_and_anchors_are_seen() -> None:
    readme = ROOT / "README.md"
    assert "docs/pictures/run.png" in documents.links(readme) and "docs/ci.md" in documents.links(readme)
    assert {"server", "rabbit"} <= documents.anchors(DOCS / "configuration.md")


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    readme = ROOT / "README.md"
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 100
    pages = {documents.shown(page) for page in PAGES if page != readme}
    assert pages <= set(documents.links(readme))


@pytest.mark.parametrize("page", PAGES, ids=documents.shown)
def test_every_block_says_what_it_holds(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= documents.LANGUAGES
    assert page.read_text(encoding="utf-8").count("\n```") % 2 == 0


def test_the_page_of_the_configuration_is_what_make_doc_writes() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "configuration.py"))
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert script["page"](text) == text, "docs/configuration.md is stale: python scripts/configuration.py writes it"
    sections = script["groups"]((ROOT / "production.ini").read_text(encoding="utf-8"))
    listed = {name: [option for group in groups for option, _ in group.options] for name, groups in sections.items()}
    known = {name: [option.name for option in fields(kind)] for name, kind in sections_of(FEATURES).items()}
    # The page may describe a feature that is not there.
    assert {name: options for name, options in listed.items() if name in known} == known


def test_configurations_that_are_shown_can_be_read(tmp_path: Path) -> None:
    shown = [block.text for page in PAGES for block in blocks(page) if block.language == "ini"]
    assert shown
    for text in shown:
        path = tmp_path / "shown.ini"
        path.write_text(text, encoding="utf-8")
        model.read(path, {})


def test_the_digest_of_the_contract_is_the_digest_of_the_package() -> None:
    block = next(block.text for block in blocks(DOCS / "consumer-contract.md") if "def digest" in block.text)
    scope: dict[str, Any] = {}
    exec(block, scope)
    messages = [(b"run:1", b'{"name": "a"}'), (b"run:2", "ä".encode())]
    assert scope["digest"](messages) == written(sum(fingerprint(*message) for message in messages) % MODULUS)


def test_every_command_and_option_is_on_the_page_of_the_command_line() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    words = {word for words in _words(_parser(FEATURES)) for word in words}
    assert {"send", "--junit", "serve"} <= words
    assert {word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", page)} == {"-h"}


def _words(parser: argparse.ArgumentParser) -> Iterator[tuple[str, ...]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield (name,)
                yield from _words(command)
        else:
            yield tuple(action.option_strings)


def test_every_request_and_parameter_is_on_the_page_of_the_api() -> None:
    page = (DOCS / "http-api.md").read_text(encoding="utf-8")
    operations = [*OPERATIONS, *(operation for feature in FEATURES for operation in feature.operations)]
    assert [f"{method} {path}" for method, path in operations if f"`{method} {path}`" not in page] == []
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \|([^|]*)\|$", page, re.MULTILINE))
    for one in PARAMETERS:
        default = "" if one.default is None else one.as_request(one.default)
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        assert rows[one.name].strip().strip("`") == shown, one.name


def test_every_package_is_in_the_tree_and_nothing_else() -> None:
    tree = next(block.text for block in blocks(DOCS / "architecture.md") if "promise_pub/" in block.text)
    listed: set[str] = set()
    above: list[str] = []
    for line in tree.splitlines():
        names = re.match(r" *((?:(?:\w+/|\w+\.(?:py|ini|sql)|Makefile)(?: +|$))*)", line)
        assert names
        depth = (len(line) - len(line.lstrip())) // 2
        for name in names[1].split():
            above[depth:] = [name]
            listed.add("".join(above[: depth + 1]))
    missing = [name for name in listed if not _is_there(ROOT / name)]
    # The page may describe a feature that is not there.
    assert [name for name in missing if not name.startswith("promise_pub/features/")] == []
    packages = {str(file.parent.relative_to(ROOT)) + "/" for file in (ROOT / "promise_pub").rglob("__init__.py")}
    modules = {f"promise_pub/{file.name}" for file in (ROOT / "promise_pub").glob("[a-z]*.py")}
    assert packages | modules <= listed


def _is_there(path: Path) -> bool:
    """A folder is not there that has only what Python left in it."""
    return path.is_file() or any(path.glob("*.*"))
