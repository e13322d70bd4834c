"""`runs --watch` where nobody looks: a line for each change, and a database that is away for a while."""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from promise_pub.cli import output, watch
from promise_pub.errors import DatabaseUnavailable
from promise_pub.presentation.run_json import SUMMARY
from promise_pub.records import RunReport, Seconds, StoredFile, Verdict
from promise_pub.retries import Backoff
from tests.run_parts import RUN, ended, report

OTHER = RUN.replace("7b", "8c")
Looks = list[list[RunReport] | DatabaseUnavailable]


@pytest.fixture
def watched() -> Callable[..., Any]:
    """Watches what one look after the other finds, and stops after the last."""

    async def start(looks: Looks, form: str = "text", within: float = 60.0) -> None:
        async def fetch() -> list[RunReport]:
            if not looks:
                raise asyncio.CancelledError
            found = looks.pop(0)
            if isinstance(found, DatabaseUnavailable):
                raise found
            return found

        await watch.watch(fetch, argparse.Namespace(format=form, id=None), Backoff(0.0, 0.0, within))

    return start


async def test_a_run_is_told_again_when_it_is_not_what_it_was(
    watched: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    older, newer = report(), report(id=OTHER, file=StoredFile("b\x1b.csv", 1, ""))
    later = replace(older, seconds=Seconds(total=99))  # time passes, and nothing else
    with pytest.raises(asyncio.CancelledError):
        await watched([[newer, older], [newer, later], [newer, ended()]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        f"{RUN}  data.csv  Publishing",
        rf"{OTHER}  b\x1b.csv  Publishing",
        f"{RUN}  data.csv  Completed",
    ]


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_scripts_get_a_line_of_their_own_format(
    watched: Callable[..., Any], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(asyncio.CancelledError):
        await watched([[report()], [ended()]], form)
    told = capsys.readouterr().out
    if form == "json":
        assert [json.loads(line)["state"] for line in told.splitlines()] == [
            "publishing",
            "completed",
        ]
    else:
        rows = list(csv.DictReader(io.StringIO(told)))
        assert [row["state"] for row in rows] == ["publishing", "completed"]
        assert tuple(rows[0]) == SUMMARY


async def test_a_database_that_comes_back_is_waited_for(
    watched: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    away = DatabaseUnavailable("The database cannot be reached: refused")
    with pytest.raises(asyncio.CancelledError):
        await watched([[report()], away, away, [report()]])
    out, err = capsys.readouterr()
    assert out.count(RUN) == 1
    assert err == "promise-pub: The database cannot be reached: refused: trying again\n"


async def test_one_that_was_never_there_or_stays_away_is_not(watched: Callable[..., Any]) -> None:
    with pytest.raises(DatabaseUnavailable):
        await watched([DatabaseUnavailable()])
    with pytest.raises(DatabaseUnavailable):
        await watched([[report()], *[DatabaseUnavailable()] * 9], within=0.0)


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (50, "id state"),
        (70, "id state verdict"),
        (80, "id file state verdict"),
        (100, "id file state verdict sent"),
        (120, "id file state verdict sent saved"),
        (200, "id created_at file mode state verdict sent received saved"),
    ],
)
def test_a_table_has_the_columns_there_is_room_for_and_its_ids_are_whole(
    monkeypatch: pytest.MonkeyPatch, columns: int, shown: str
) -> None:
    console = Console(file=io.StringIO(), width=columns, record=True, _environ={})
    monkeypatch.setattr(output, "out", console)
    long = StoredFile("[/b] a very long name " * 9, 1, "")
    runs = [ended(Verdict.KEPT, file=long), report(file=long)]
    console.print(output.history_table(runs))
    lines = console.export_text().splitlines()
    assert lines[0].split() == shown.split()
    assert [line[: len(RUN)] for line in lines[1:]] == [RUN, RUN]
    assert all(len(line) <= columns for line in lines)
    assert ("100,000" in lines[1]) is ("sent" in shown)
