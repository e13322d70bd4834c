"""The examples of plugins are what they are meant to show: short, and right."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from promise_pub.features.stats.definitions import define
from promise_pub.features.stats.fold import fold
from promise_pub.statistics import Event, Statistic
from tests.stats.plugins import event, registered

EXAMPLES = sorted((Path(__file__).parents[4] / "docs/examples/statistics").glob("*.py"))
MAX_LINES = 15

COMPOSE = "org.fedoraproject.prod.compose.rawhide.complete"


def load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{file.stem}", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plugins(module: ModuleType) -> list[type[Statistic]]:
    own = (value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__)
    return [value for value in own if issubclass(value, Statistic)]


PLUGINS = {plugin.name: plugin for file in EXAMPLES for plugin in plugins(load(file))}


@pytest.mark.parametrize("file", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_each_example_is_a_plugin_of_at_most_fifteen_lines(file: Path) -> None:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef):
            assert node.end_lineno and node.end_lineno - node.lineno < MAX_LINES
    assert [define(plugin) for plugin in plugins(load(file))]


def rows(name: str, *events: Event) -> Mapping[str, Any]:
    """Returns what the rows of the widest window, or the entries, have by key."""
    definition = define(PLUGINS[name])
    changes = fold(definition, registered(definition), events, {})
    assert not changes.left_out
    widest = max(definition.layout.intervals, default=0)
    return {key.key: cell.number for key, cell in changes.cells.items() if key.width == widest} | {
        key.key: entry.value for key, entry in changes.entries.items()
    }


CASES: list[tuple[str, list[Event], Mapping[str, Any]]] = [
    ("traffic", [event(1), event(2, "c")], {"": 2}),
    ("traffic-by-category", [event(1, COMPOSE), event(2, "a.b.c"), event(3, "")], {"compose": 1}),
    ("traffic-by-topic", [event(1, "a"), event(2, "b"), event(3, "a")], {"a": 2, "b": 1}),
    (
        "traffic-by-user",
        [event(1, headers={"fedora_messaging_user_ann": True, "fedora_messaging_user_bob": True}), event(2)],
        {"ann": 1, "bob": 1},
    ),
    ("traffic-by-package", [event(1, headers={"fedora_messaging_rpm_vim": True, "other": 1})], {"vim": 1}),
    (
        "releng",
        [event(1, COMPOSE, body=b'{"id": 1}'), event(2, COMPOSE.replace("complete", "start"), body=b'{"id": 2}')],
        {"compose\x1frawhide": '{"state": "start", "id": 2}'},
    ),
    ("pagure", [event(1, "io.pagure.prod.pagure.git"), event(2, "org.a")], {"": 1}),
    (
        "pagure-by-project",
        [
            event(1, "io.pagure.prod.a", body=b'{"project": {"name": "x"}}'),
            event(2, "io.pagure.prod.a", body=b'{"pullrequest": {"project": {"name": "y"}}}'),
            event(3, "io.pagure.prod.a", body=b'{"issue": {"project": {"name": "x"}}}'),
            event(4, "io.pagure.prod.a"),
        ],
        {"x": 2, "y": 1},
    ),
    ("pagure-by-user", [event(1, "io.pagure.prod.a", body=b'{"agent": "ann"}')], {"ann": 1}),
    ("popularity", [event(n, body=b'{"mentions": ["ann", "bob"]}') for n in (1, 2)], {"ann": 2, "bob": 2}),
]


@pytest.mark.parametrize(("name", "events", "expected"), CASES, ids=[name for name, _, _ in CASES])
def test_each_example_counts_what_it_says(name: str, events: list[Event], expected: Mapping[str, Any]) -> None:
    assert rows(name, *events) == expected


def test_every_example_is_tried() -> None:
    assert {name for name, _, _ in CASES} == PLUGINS.keys()
