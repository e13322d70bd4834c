"""Plugins found as they are installed: by the entry points of packages on the path."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from promise_pub.features.stats.builtin import BUILTIN
from promise_pub.features.stats.plugins import Found, find_plugins
from tests.plugin_packages import PluginPackages, plugin_packages

GOOD = '''
    from promise_pub.statistics import Counting

    class {name}(Counting):
        """Tried."""
        name = "{name}".lower()
        def count(self, event):
            return []
'''


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginPackages]:
    with plugin_packages(tmp_path, "promise_pub.statistics", monkeypatch) as made:
        yield made


def foreign(found: Found) -> list[str]:
    """Returns the names of what is not built in, which comes first."""
    assert [definition.ours for definition in found.definitions[: len(BUILTIN)]] == [True] * len(BUILTIN)
    rest = found.definitions[len(BUILTIN) :]
    assert not any(definition.ours for definition in rest)
    return [definition.layout.name for definition in rest]


def test_without_plugins_there_are_the_statistics_that_are_built_in() -> None:
    found = find_plugins()
    assert [type(definition.statistic) for definition in found.definitions] == [*BUILTIN]
    assert not found.faults


def test_an_entry_point_is_a_class_or_a_sequence_of_classes(packages: PluginPackages) -> None:
    code = GOOD.format(name="One") + GOOD.format(name="Two") + GOOD.format(name="Three") + "\n    BOTH = [Two, Three]"
    packages.install("several_pp", code, "several_pp:One", "several_pp:BOTH")
    for _ in range(2):
        found = find_plugins()
        assert foreign(found) == ["one", "two", "three"]
        assert not found.faults


def test_a_class_that_two_entry_points_name_is_one(packages: PluginPackages) -> None:
    code = GOOD.format(name="One") + "\n    ALL = (One, One)"
    packages.install("twice_pp", code, "twice_pp:One", "twice_pp:ALL")
    assert foreign(find_plugins()) == ["one"]
    assert not find_plugins().faults


@pytest.mark.parametrize(
    ("code", "entry", "fault"),
    [
        ("import no_such_module", "bad_pp:Bad", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "bad_pp:Bad", "cannot be loaded: SystemExit: 3."),
        ("raise BaseException('x\\x1b[31m')", "bad_pp:Bad", r"cannot be loaded: BaseException: x\x1b[31m."),
        ("class (", "bad_pp:Bad", "cannot be loaded: SyntaxError: "),
        ("", "bad_pp:Bad", "cannot be loaded: AttributeError: "),
        *(
            (
                f"Bad = {value}",
                "bad_pp:Bad",
                "cannot be loaded: TypeError: it is neither a class nor a sequence of classes.",
            )
            for value in ("5", "'ab'", "[int, 5]", "(one for one in ())", "lambda: int")
        ),
        (
            "Bad = int",
            "bad_pp:Bad",
            "Statistic builtins.int cannot be used: it is no class that inherits from Statistic.",
        ),
        (
            GOOD.format(name="Bad") + "    Bad.version = 0",
            "bad_pp:Bad",
            "its version must be a whole number from 1 on.",
        ),
    ],
)
def test_one_that_fails_is_told_and_the_others_count(
    packages: PluginPackages, code: str, entry: str, fault: str
) -> None:
    packages.install("a_good_pp", GOOD.format(name="First"), "a_good_pp:First")
    packages.install("bad_pp", code, entry)
    packages.install("c_good_pp", GOOD.format(name="Last"), "c_good_pp:Last")
    found = find_plugins()
    assert sorted(foreign(found)) == ["first", "last"]
    assert found.faults
    for told in found.faults:
        assert fault in told
        assert told.isprintable()


def test_of_two_with_one_name_that_which_is_built_in_stays(packages: PluginPackages) -> None:
    packages.install("rows_pp", GOOD.format(name="Rows"), "rows_pp:Rows")
    found = find_plugins()
    assert not foreign(found)
    assert found.faults == ["Statistic rows (rows_pp.Rows) cannot be used: a built-in statistic has its name."]


def test_of_two_foreign_ones_with_one_name_neither_is_taken(packages: PluginPackages) -> None:
    for module in ("one_pp", "two_pp"):
        packages.install(module, GOOD.format(name="Same"), f"{module}:Same")
    packages.install("other_pp", GOOD.format(name="Other"), "other_pp:Other")
    found = find_plugins()
    assert foreign(found) == ["other"]
    (fault,) = found.faults
    assert fault == (
        "None of these can be used, since they have one name: "
        "Statistic same (one_pp.Same), Statistic same (two_pp.Same)."
    )


def test_finding_plugins_loads_nothing_that_is_large() -> None:
    code = f"import sys, {find_plugins.__module__}; print({{'numpy', 'hyperloglog'}} & {{*sys.modules}})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60) == "set()\n"
