"""Each fault that a plugin can have, by what its author is told."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import pytest

from promise_pub.features.stats.definitions import MAX_LAYOUT, UnfitStatistic, define
from promise_pub.features.stats.failures import MAX_LINE, failure_line
from promise_pub.features.stats.intervals import MAX_WIDTH
from promise_pub.features.stats.records import Layout
from promise_pub.statistics import WHOLE, Counting, Distinct, Latest, Measuring, Statistic
from tests.stats.plugins import Count


def made(base: type[Any] = Counting, **members: Any) -> Any:
    """Returns a plugin with these members, which is otherwise right."""
    right = {
        "__module__": __name__,
        "__doc__": "Events.\n\nMore of it.",
        "name": "good",
        "count": lambda self, event: [()],
    }
    values = {name: value for name, value in {**right, **members}.items() if value is not ...}
    return type("Plugin", (base,), values)


def fault_of(plugin: object) -> str:
    with pytest.raises(UnfitStatistic) as raised:
        define(plugin)
    (message,) = raised.value.args
    assert message.isprintable()
    assert len(message) < 3 * MAX_LINE
    return str(message)


def test_a_statistic_that_is_right_is_defined_with_the_defaults() -> None:
    definition = define(made())
    assert definition.layout == Layout(
        name="good",
        version=1,
        kind="counting",
        summary="Events.",
        columns=(),
        intervals=(60, 3_600, 86_400),
        topics=("#",),
        own=False,
        backlog=None,
        unit="",
        given=None,
    )
    assert isinstance(definition.statistic, Counting)
    assert definition.ours is False


def test_what_a_plugin_sets_is_in_its_layout() -> None:
    layout = define(
        made(
            version=7,
            columns=["user", "what_else"],
            intervals=[timedelta(hours=1), timedelta(seconds=5), WHOLE],
            topics=["a.*", "b.#"],
            own=True,
            backlog=timedelta(days=7),
            unit="ms",
            layout={"groups": ("a", 1)},
        )
    ).layout
    assert (layout.version, layout.columns, layout.intervals) == (7, ("user", "what_else"), (0, 5, 3_600))
    assert (layout.topics, layout.own, layout.backlog, layout.unit) == (("a.*", "b.#"), True, 604_800, "ms")
    assert layout.given == {"groups": ["a", 1]}


@pytest.mark.parametrize(
    ("base", "method", "kind"),
    [(Measuring, "measure", "measuring"), (Latest, "entry", "latest"), (Distinct, "members", "distinct")],
)
def test_each_base_is_a_kind(base: type[Statistic], method: str, kind: str) -> None:
    layout = define(made(base, **{method: lambda self, event: []})).layout
    assert layout.kind == kind
    assert bool(layout.intervals) is (kind != "latest")


def test_a_definition_matches_topics_as_amqp_does() -> None:
    definition = define(made(topics=("a.*", "#.z")))
    topics = ["a", "a.b", "a.b.c", "z", "a.b.z", ""]
    assert [topic for topic in topics * 2 if definition.matches(topic)] == ["a.b", "z", "a.b.z"] * 2


def raising(error: BaseException) -> Any:
    def fail(*_: Any) -> Any:
        raise error

    return fail


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


both = type("Both", (Count, Latest), {"__doc__": "Both.", "name": "both", "entry": lambda self, event: []})


@pytest.mark.parametrize(
    ("plugin", "fault"),
    [
        (None, "it is no class that inherits from Statistic"),
        (made()(), "it is no class that inherits from Statistic"),
        (dict, "it is no class that inherits from Statistic"),
        (lambda: made(), "it is no class that inherits from Statistic"),
        (made(Statistic), "it must inherit from one of Counting, Measuring, Latest, Distinct"),
        (both, "it must inherit from one of Counting, Measuring, Latest, Distinct"),
        (made(count=...), "it lacks the method count"),
        (made(Measuring), "it lacks the method measure"),
        (made(count=None), "count must be a function that is not async"),
        *(
            (made(name=name), "its name must have lower-case letters, digits and hyphens, 60 at most")
            for name in (..., None, 1, "", "A", "a b", "é", "a\n", "a" * 61, "a_b", "x\x1b[31m")
        ),
        *(
            (made(version=version), "its version must be a whole number from 1 on")
            for version in (0, -1, True, 1.0, "1", None, 2**31)
        ),
        *((made(__doc__=text), "it needs a docstring, whose first line is its summary") for text in (None, "", " \n ")),
        (made(__doc__="x" * 201), "the first line of its docstring has more than 200 characters"),
        *(
            (made(columns=columns), "its columns must be a tuple of at most 4 names")
            for columns in ("user", None, 1, ("a", "b", "c", "d", "e"), {"a": 1})
        ),
        *(
            (made(columns=(column,)), "a column must have lower-case letters")
            for column in ("", "A", "1a", "a b", "a:b", "é", 1, None, "a" * 41)
        ),
        *((made(columns=(column,)), f"a column cannot be called {column}") for column in ("start", "count", "p99")),
        (made(columns=("a", "a")), "two of its columns have the same name"),
        *(
            (made(intervals=intervals), "its intervals must be a tuple of 1 to 10 timedeltas")
            for intervals in ((), None, timedelta(1), 60, (60,), (None,), tuple(map(timedelta, range(1, 12))))
        ),
        *(
            (made(intervals=(interval,)), "its intervals must be whole seconds, or WHOLE")
            for interval in (timedelta(seconds=0.5), timedelta(seconds=-1), timedelta(microseconds=1), timedelta.min)
        ),
        *(
            (made(intervals=(interval,)), "its intervals must be 366 days at most")
            for interval in (timedelta(seconds=MAX_WIDTH + 1), timedelta(days=999_999_999))
        ),
        (made(intervals=(timedelta(minutes=60), timedelta(hours=1))), "two of its intervals are equal"),
        *(
            (made(topics=topics), "its topics must be a tuple of 1 to 20 patterns")
            for topics in ((), "#", None, (1,), (None,), ("#",) * 21)
        ),
        (made(topics=("#", "a\0")), "one of its topics cannot match: A topic cannot have control characters."),
        (made(topics=("a" * 256,)), "one of its topics cannot match: A topic has at most 255 bytes."),
        *((made(own=own), "own must be True or False") for own in (None, 1, "yes")),
        *(
            (made(backlog=backlog), "its backlog must be None, or a timedelta of whole seconds")
            for backlog in (7, timedelta(0), -timedelta(1), timedelta(seconds=0.5), timedelta.max, "7d")
        ),
        *(
            (made(unit=unit), "its unit must be a text of at most 20 characters")
            for unit in (None, 1, "x" * 21, "\x1b", b"ms")
        ),
        *(
            (made(layout=layout), "its layout must be JSON")
            for layout in (object(), {1, 2}, b"", float("nan"), 1e400, {("a",): 1}, "x" * MAX_LAYOUT, 10**200)
        ),
        (made(__init__=lambda self, option: None), "its constructor fails: TypeError: "),
        (made(__init__=raising(SystemExit(3))), "its constructor fails: SystemExit: 3"),
        (made(__init__=raising(MemoryError())), "its constructor fails: MemoryError"),
        (made(__init__=raising(ValueError("x\x1b[31m\n" * 999))), r"its constructor fails: ValueError: x\x1b[31m\n"),
        (
            made(__init__=raising(Unspeakable())),
            "its constructor fails: Unspeakable: it cannot be told, for RuntimeError",
        ),
    ],
)
def test_a_plugin_that_is_wrong_is_told_its_fault(plugin: object, fault: str) -> None:
    message = fault_of(plugin)
    assert f" cannot be used: {fault}" in message
    assert message.endswith(".")


def test_a_method_that_is_async_is_a_fault() -> None:
    async def count(self: object, event: object) -> None: ...

    async def count_each(self: object, event: object) -> Any:
        yield ()

    for method in (count, count_each):
        assert "count must be a function that is not async" in fault_of(made(count=method))


def test_a_layout_that_never_ends_is_a_fault() -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: list[Any] = []
    for _ in range(sys.getrecursionlimit() + 10):
        deep = [deep]
    for layout in (circle, deep, [[[]]] * 9 + [eval("[" * 70 + "]" * 70)]):
        assert "its layout must be JSON" in fault_of(made(layout=layout))


def test_a_class_that_raises_whatever_is_asked_of_it_is_a_fault() -> None:
    class Meta(type(Counting)):  # type: ignore[misc]
        @property
        def version(cls) -> int:
            raise SystemExit("ha")

    plugin = Meta("Plugin", (Counting,), {"__doc__": "Events.", "name": "good", "count": lambda self, event: []})
    assert fault_of(plugin).endswith("cannot be used: it fails: SystemExit: ha.")


def test_a_fault_names_the_statistic_and_where_it_stands() -> None:
    assert fault_of(made(version=0)).startswith(f"Statistic good ({__name__}.Plugin) cannot be used: ")
    assert fault_of(made(name=5)).startswith(f"Statistic {__name__}.Plugin cannot be used: ")
    assert fault_of(made(name="\x1b" * 10_000)).startswith(r"Statistic \x1b\x1b")


def test_interrupting_the_server_is_no_fault() -> None:
    with pytest.raises(KeyboardInterrupt):
        define(made(__init__=raising(KeyboardInterrupt())))


def test_an_error_is_one_line() -> None:
    assert failure_line(ValueError("a\nb\x1b\u202e")) == r"ValueError: a\nb\x1b\u202e"
    assert failure_line(ValueError()) == "ValueError"
    assert len(failure_line(ValueError("\x1b" * 10**6))) == MAX_LINE
    assert len(failure_line(type("E" * 10_000, (Exception,), {})())) == MAX_LINE
