"""Every regular expression of the package, in time that grows no more than linearly with what people write.

The patterns are found, not listed: one that is added is tried as well. Only those that are made within functions are made
here once more, and a test tells which are missing.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import promise_pub
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.quotes import Walker
from promise_pub.features.events.sources.types.access_log import AccessLog
from promise_pub.features.events.sources.types.find import FindOutput
from promise_pub.features.events.sources.types.json_lines import JsonLines
from promise_pub.features.events.sources.types.session_log import SessionLog
from promise_pub.features.events.sources.types.table import Table
from promise_pub.parameters.gate import MAX_TEXT
from promise_pub.settings.model import asset
from tests.growth import MOST, assert_linear

ROOT = Path(promise_pub.__file__).parent
METHODS = {"match", "fullmatch", "search", "sub", "split", "findall", "finditer"}
# What every pattern is tried with, besides what it is made of.
NASTY = (
    "\t",
    " ",
    "\n",
    "\r\n",
    "\r",
    "7",
    "a",
    '"',
    '""',
    '"\n',
    '",',
    "a,",
    "=",
    ";",
    "\\",
    "'",
    "(",
    ":",
    "0-",
    ", ",
    "\x00",
    "é",
)
ENDS = ("", "\x01", "\n", "!")

SCHEME = len((asset("scheme.sql")).read_text(encoding="utf-8"))
BOUNDS = {
    # It is a file of the package.
    "db_checks._TABLE": SCHEME,
    "db_checks._ALTERED": SCHEME,
    "db_checks._COLUMN": SCHEME,
    "db_checks._ADDED": SCHEME,
    # A parameter, refused where it is longer.
    "parameters.gate_parser._TOKEN": MAX_TEXT,
}
"""Characters that a pattern is given at most, where less than MOST, and why."""

_WALKER = Walker(Dialect(3))
MADE_WITHIN = {
    "delivery.input.dialect.Dialect.row": [
        ("match", Dialect(1).row),
        ("match", Dialect(2).row),
        ("match", Dialect(5, delimiter=";").row),
    ],
    "delivery.input.dialect.Dialect._field": [("finditer", Dialect(3)._field)],
    "delivery.input.quotes.Walker.__init__": [
        ("match", _WALKER._inside_plain),
        ("match", _WALKER._whole_fields),
        ("match", _WALKER._raw_field),
        ("match", _WALKER._short_fields),
    ],
    "features.events.sources.types.access_log.AccessLog": [("fullmatch", AccessLog.record)],
    "features.events.sources.types.find.FindOutput": [("fullmatch", FindOutput.record)],
    "features.events.sources.types.json_lines.JsonLines": [("fullmatch", JsonLines.record)],
    "features.events.sources.types.session_log.SessionLog": [("fullmatch", SessionLog.record)],
    "features.events.sources.types.table.Table": [("fullmatch", Table.record)],
}
"""Patterns that functions make, or classes, with how they are used."""


class Use(NamedTuple):
    """A pattern, and the method with which it is used."""

    name: str
    method: str
    pattern: re.Pattern[Any]

    def __str__(self) -> str:
        return f"{self.name}.{self.method}"


class _Finder(ast.NodeVisitor):
    """Finds where a module uses `re`, and with which methods it uses its patterns."""

    def __init__(self, module: str) -> None:
        self.within = [module]
        self.made_within = set[str]()
        self.defined = set[str]()
        self.literals: list[Use] = []
        self.used: list[tuple[str, str]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.within.append(node.name)
        self.generic_visit(node)
        self.within.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]
    visit_ClassDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_Assign(self, node: ast.Assign) -> None:
        if len(self.within) == 1 and isinstance(node.targets[0], ast.Name):
            self.defined.add(node.targets[0].id)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.attr in METHODS:
            self.used.append((node.value.id, node.attr))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "re":
            where = ".".join(self.within)
            if called.attr in METHODS and isinstance(node.args[0], ast.Constant):
                self.literals.append(Use(where, called.attr, re.compile(str(node.args[0].value))))
            elif called.attr in {*METHODS, "compile"} and len(self.within) > 1:
                self.made_within.add(where)
        self.generic_visit(node)


@cache
def _searched() -> list[tuple[str, Any, _Finder]]:
    found = []
    for info in pkgutil.walk_packages([str(ROOT)], "promise_pub."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        finder = _Finder(info.name.removeprefix("promise_pub."))
        finder.visit(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")))
        found.append((info.name.removeprefix("promise_pub."), module, finder))
    return found


def _uses() -> Iterator[Use]:
    defined: dict[int, str] = {}
    methods: dict[int, set[str]] = {}
    patterns: dict[int, re.Pattern[Any]] = {}
    for name, module, finder in _searched():
        for attribute, value in vars(module).items():
            if isinstance(value, re.Pattern):
                patterns[id(value)] = value
                if attribute in finder.defined:
                    defined[id(value)] = f"{name}.{attribute}"
                methods.setdefault(id(value), set()).update(how for used, how in finder.used if used == attribute)
        yield from finder.literals
    for key, value in patterns.items():
        # One that is handed on, or given to `map`, may be used in any way.
        for method in sorted(methods[key]) or ["search"]:
            yield Use(defined[key], method, value)
    for where, made in MADE_WITHIN.items():
        for method, pattern in made:
            yield Use(where, method, pattern)


def test_patterns_that_functions_make_are_known() -> None:
    assert set().union(*(finder.made_within for _, _, finder in _searched())) == {*MADE_WITHIN}


def test_bounds_are_of_patterns_that_there_are() -> None:
    assert {*BOUNDS} <= {use.name for use in _uses()}


@pytest.mark.parametrize("use", [*_uses()], ids=str)
def test_it_is_linear(use: Use) -> None:
    for before, body, after in evil_texts(use.pattern):
        about = f"{use}: {before!r} + {body!r} * n + {after!r}"
        assert_linear(partial(_prepare, use, before, body, after), BOUNDS.get(use.name, MOST), about)


def _prepare(use: Use, before: str, body: str, after: str, size: int) -> Any:
    text = before + body * (size // len(body)) + after
    given: Any = text.encode("utf-8", "replace") if isinstance(use.pattern.pattern, bytes) else text
    if use.method == "sub":
        return partial(use.pattern.sub, given[:0], given)
    method = getattr(use.pattern, use.method)
    return (lambda: [*method(given)]) if use.method == "finditer" else partial(method, given)


def evil_texts(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    """Yields what begins like a match, what may be repeated in it, and an end that does not match."""
    parsed = re._parser.parse(
        pattern.pattern, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    )  # type: ignore[attr-defined]
    tried = set[tuple[str, str]]()
    whole = _example(parsed)
    repeated = [*_repeats([*parsed], ""), *(("", one) for one in NASTY), *([("", whole)] if whole else [])]
    for before, body in repeated:
        for start, again in ((before, body), ("", before + body)):
            if again and (start, again) not in tried:
                tried.add((start, again))
                yield from ((start, again, end) for end in ENDS)


def _repeats(nodes: list[Any], before: str) -> Iterator[tuple[str, str]]:
    """Yields each part of a pattern that may repeat, with the shortest text that leads to it."""
    for at, node in enumerate(nodes):
        kind, argument = str(node[0]), node[1]
        so_far = before + _example(nodes[:at])
        if kind.endswith("REPEAT"):
            _, most, inner = argument
            if most > 1:
                yield from ((so_far, body) for body in _variants([*inner]) if body)
            yield from _repeats([*inner], so_far)
        elif kind == "BRANCH":
            for branch in argument[1]:
                yield from _repeats([*branch], so_far)
        elif kind == "SUBPATTERN":
            yield from _repeats([*argument[-1]], so_far)
        elif kind == "ATOMIC_GROUP":
            yield from _repeats([*argument], so_far)
        elif kind in ("ASSERT", "ASSERT_NOT"):
            yield from _repeats([*argument[1]], so_far)


def _variants(nodes: list[Any]) -> list[str]:
    """Returns some texts that this part matches: one for each character that its first class names."""
    if not nodes:
        return [""]
    kind, argument = str(nodes[0][0]), nodes[0][1]
    rest = _example(nodes[1:])
    if kind == "IN":
        return [one + rest for one in _members(argument)]
    if kind == "BRANCH":
        return [one + rest for branch in argument[1] for one in _variants([*branch])]
    if kind == "SUBPATTERN":
        return [one + rest for one in _variants([*argument[-1]])]
    return [_example(nodes)]


_OF_CATEGORY = {"DIGIT": "7", "SPACE": " ", "WORD": "w", "NOT_DIGIT": "n", "NOT_SPACE": "n", "NOT_WORD": "-"}


def _members(items: Any) -> list[str]:
    negated = str(items[0][0]) == "NEGATE"
    found = []
    for item, value in items[negated:]:
        if str(item) == "LITERAL":
            found.append(chr(value))
        elif str(item) == "RANGE":
            found.append(chr(value[0]))
        else:
            found.append(_OF_CATEGORY[str(value).removeprefix("CATEGORY_")])
    if not negated:
        return found[:8]
    return [one for one in ("z", " ", "7", "\t", '"', ",", ".", ";") if one not in found][:4]


def _example(nodes: Any) -> str:
    """Returns the shortest text that these parts match, or nearly."""
    text = ""
    for kind, argument in nodes:
        name = str(kind)
        if name == "LITERAL":
            text += chr(argument)
        elif name in ("ANY", "NOT_LITERAL"):
            text += "z"
        elif name == "IN":
            text += _members(argument)[0]
        elif name.endswith("REPEAT"):
            text += _example(argument[2]) * argument[0]
        elif name == "BRANCH":
            text += _example(argument[1][0])
        elif name == "SUBPATTERN":
            text += _example(argument[-1])
        elif name == "ATOMIC_GROUP":
            text += _example(argument)
        elif name == "GROUPREF_EXISTS":
            text += _example(argument[1])
    return text


@pytest.mark.parametrize("pattern", [r"(a+)+b", r"(?=[\s]*=)[\t]|\t(?=\s*=)", r"(\w+\s?)*$", r"^(\d+,?)+$"])
def test_one_that_is_not_linear_is_found(pattern: str) -> None:
    use = Use("here", "search", re.compile(pattern))
    with pytest.raises(AssertionError, match="here"):
        test_it_is_linear(use)
