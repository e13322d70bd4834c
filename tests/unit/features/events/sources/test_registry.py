from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from promise_pub.features.events.sources.registry import BUILTIN, MAX_LINE, Registry, UnknownType, UnusableType
from promise_pub.features.events.sources.types.session_log import SessionLog
from promise_pub.sources import Lines
from tests.plugin_packages import PluginPackages, plugin_packages

TYPE = """
    import re
    from promise_pub.sources import Lines
    class {name}(Lines):
        name = "{type}"
        kind = "log"
        reads = "what tests write"
        aliases = {aliases}
        record = re.compile(b".*")
        def event(self, record, given): ...
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginPackages]:
    with plugin_packages(tmp_path, "promise_pub.sources", monkeypatch) as made:
        yield made


def good(name: str, aliases: tuple[str, ...] = (), class_name: str = "One") -> str:
    return TYPE.format(name=class_name, type=name, aliases=aliases)


def test_every_type_of_promise_pub_can_be_used() -> None:
    offered = Registry().load_all()

    assert not offered.faults
    assert [*offered.types] == sorted(BUILTIN)
    assert {*offered.packages.values()} == {"promise-pub"}


def test_a_type_is_found_by_its_name_and_its_aliases() -> None:
    assert Registry().load("log.shell") is SessionLog
    assert Registry().load("shell.log") is SessionLog


@pytest.mark.parametrize(
    ("name", "nearest"), [("log.shel", "log.shell"), ("http.acces", "http.access"), ("json", "jsonl")]
)
def test_a_name_that_no_type_has_is_told_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownType, match=f'There is no type "{name}". The nearest is "{nearest}".'):
        Registry().load(name)


def test_a_name_that_is_long_or_cannot_be_printed_is_told_in_one_short_line() -> None:
    with pytest.raises(UnknownType) as unknown:
        Registry().load("\x1b" + "x" * 10_000)
    assert r"\x1b" in str(unknown.value) and len(str(unknown.value)) < 150


def test_nothing_is_imported_for_names_or_for_another_type() -> None:
    code = """
        import sys
        from promise_pub.features.events.sources.registry import Registry
        registry = Registry()
        registry.names
        registry.load("find")
        print([name for name in sys.modules if ".sources.types." in name])
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "['promise_pub.features.events.sources.types.find']\n"


def test_a_type_of_another_package_is_found_and_named_with_its_package(packages: PluginPackages) -> None:
    packages.install("one_pp", good("log.one", ("one",)), "log.one = one_pp:One")
    registry = Registry()

    assert issubclass(registry.load("one"), Lines)
    assert registry.load("one") is registry.load("log.one")
    assert "log.one" in registry.names
    offered = registry.load_all()
    assert (offered.packages["log.one"], offered.faults) == ("one_pp", [])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise KeyError('no')", "cannot be loaded: KeyError: 'no'"),
        ("raise SystemExit(3)", "cannot be loaded: SystemExit: 3"),
        ("import nothing_like_it", "cannot be loaded: ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("Other = 1", "cannot be loaded: AttributeError"),
        ("One = 1", "it is no class that inherits from"),
        ("class One: pass", "it is no class that inherits from"),
        ("from promise_pub.sources import Lines as One", "it lacks name, kind, reads, record, event"),
        ("from promise_pub.sources import Fixed as One", "it lacks name, kind, reads, event, size"),
        ("from promise_pub.sources import SqliteQuery as One", "it lacks name, kind, reads, query, needs, event"),
        (good("log.two"), "it calls itself 'log.two'"),
        (good("log.one").replace('"log"', f'"{"k" * 41}"'), "its kind is no text of at most 40 characters"),
        (good("log.one").replace("aliases = ()", "aliases = 'one'"), "its aliases are one text"),
        ("raise ValueError('\\x1b' * 10_000)", r"cannot be loaded: ValueError: \\x1b\\x1b"),
    ],
)
def test_one_that_cannot_be_used_is_named_and_stops_no_other(packages: PluginPackages, code: str, reason: str) -> None:
    packages.install("one_pp", code, "log.one = one_pp:One")
    registry = Registry()

    (fault,) = registry.load_all().faults
    assert fault.startswith("The type log.one (one_pp:One) ") and len(fault) <= MAX_LINE
    with pytest.raises(UnusableType, match=reason):
        registry.load("log.one")
    assert [*registry.load_all().types] == sorted(BUILTIN)
    assert registry.load("shell.log") is SessionLog


def test_the_type_of_promise_pub_is_taken_where_another_has_its_name(packages: PluginPackages) -> None:
    packages.install("one_pp", good("find"), "find = one_pp:One")

    offered = Registry().load_all()

    assert offered.faults == ["The type find (one_pp:One) cannot be used: a type of promise-pub has its name."]
    assert offered.types["find"].__module__.startswith("promise_pub.")


def test_none_is_taken_of_two_foreign_ones_that_have_one_name(packages: PluginPackages) -> None:
    packages.install("one_pp", good("log.one"), "log.one = one_pp:One")
    packages.install("two_pp", good("log.one"), "log.one = two_pp:One")

    with pytest.raises(UnusableType, match="None of these can be used, .*one_pp:One.*two_pp:One"):
        Registry().load("log.one")
    assert len(Registry().load_all().faults) == 1


def test_an_alias_of_two_types_says_which_they_are(packages: PluginPackages) -> None:
    packages.install("one_pp", good("log.one", ("same", "find")), "log.one = one_pp:One")
    packages.install("two_pp", good("log.two", ("same",)), "log.two = two_pp:One")

    with pytest.raises(UnusableType, match=r"same may be log.one or log.two."):
        Registry().load("same")
    assert Registry().load("find").name == "find"
