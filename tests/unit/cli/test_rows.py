"""`runs ID --rows`, against the whole server among fakes; and rows below a report."""

from __future__ import annotations

import csv
import io
import json
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.cli import arguments
from promise_pub.cli.remote_run import RemoteRun
from promise_pub.cli.rows import describe_row, print_in_need, print_rows
from promise_pub.cli.runs import runs
from promise_pub.errors import BadParameter, ServerAnswerError
from tests.run_parts import RUN
from tests.web_house import CSV, Client, House, opened

DATA = b'Ann,ann@x\nbad\nBob,bob@x\nEve,"=cmd\x1b[2J"\nAnn again,ann@x\n'
MISSING = "confirmed by the broker, and not among the rows that the consumer received"
Printed = Callable[..., Awaitable[str]]


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        made.consumer.told = {"received": 3, "saved": 2, "rows": "1-2,4", "digest": None}
        yield made


@pytest.fixture
async def printed(house: House, capsys: pytest.CaptureFixture[str]) -> Printed:
    """What the command prints of a run of DATA."""

    async def run(**options: Any) -> str:
        answer = await house.client.post("/simulate/?mode=batch", data=DATA, headers=CSV)
        given = {"id": (await answer.json())["id"], "server": str(house.client.make_url("/")), "format": "text"}
        assert await print_rows(Namespace(**{"fate": None, "text": None, **given, **options})) == 0
        return capsys.readouterr().out

    return run


async def test_as_text_each_is_a_line(printed: Printed) -> None:
    assert (await printed()).splitlines() == [
        "line         1  row         1  saved: Ann,ann@x",
        "line         2  row         –  rejected: has 1 field, not 2: bad",
        "line         3  row         2  saved: Bob,bob@x",
        rf"line         4  row         3  missing: {MISSING}: Eve,=cmd\x1b[2J",
        "line         5  row         4  repeat: an earlier row of the file has its mail (line 1): Ann again,ann@x",
    ]


async def test_as_csv_and_json_they_are_what_the_server_tells(printed: Printed) -> None:
    told = [*csv.DictReader(io.StringIO(await printed(format="csv", fate=["missing", "repeat"])))]
    assert [(row["line"], row["fate"], row["repeats_line"]) for row in told] == [
        ("4", "missing", ""),
        ("5", "repeat", "1"),
    ]
    whole = json.loads(await printed(format="json", text="BOB"))
    assert [row["values"] for row in whole] == [{"name": "Bob", "mail": "bob@x"}]


async def test_all_that_need_attention(printed: Printed) -> None:
    assert [line.split()[1] for line in (await printed(fate=["attention"])).splitlines()] == ["2", "4"]


async def test_a_run_that_is_not_there_is_named(house: House) -> None:
    options = Namespace(id=RUN, fate=None, text=None, format="csv", server=str(house.client.make_url("/")))
    with pytest.raises(ServerAnswerError, match="There is no such run"):
        await print_rows(options)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["--rows"], "takes the ID of a run"),
        ([RUN, "--rows", "--cancel"], "cannot be combined"),
        ([RUN, "--rows", "--watch"], "cannot be combined"),
        ([RUN, "--fate", "missing"], "add --rows"),
        ([RUN, "--text", "ann"], "add --rows"),
    ],
)
async def test_options_that_do_not_go_together(line: list[str], says: str) -> None:
    with pytest.raises(BadParameter, match=says):
        await runs(arguments.parse(["runs", *line], ()))


def test_a_fate_that_is_none_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        arguments.parse(["runs", RUN, "--rows", "--fate", "lost"], ())
    assert caught.value.code == 2
    assert "'missing'" in capsys.readouterr().err


def test_a_row_of_a_newer_server_is_told_as_it_is() -> None:
    assert describe_row({"line": 7, "fate": "of the future"}) == (
        "line         7  row         –  of the future: no longer kept"
    )
    assert describe_row({"line": 7, "fate": "saved", "content": "a" * 300}).endswith("a" * 200 + "…")


def test_below_a_report_stand_the_first_and_how_many_more(capsys: pytest.CaptureFixture[str]) -> None:
    run = {"id": RUN, "fates": {"missing": 30, "saved": 9}}
    print_in_need(run, [])
    assert capsys.readouterr().out == ""
    print_in_need(run, [{"line": 4, "row": 3, "fate": "missing", "reason": "why", "content": "Eve,eve@x"}])
    assert capsys.readouterr().out == (
        "\nrows that need you: 30\n  line         4  row         3  missing: why: Eve,eve@x\n"
        f"  and 29 more: promise-pub runs {RUN} --rows --fate attention\n"
    )


def test_lost_rows_stand_before_rejected_ones_in_the_order_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"line": line, "fate": fate} for line, fate in ((9, "missing"), (2, "unsaved"), (1, "rejected"))]
    print_in_need({"id": RUN, "fates": {"missing": 1, "unsaved": 1, "rejected": 1}}, rows)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[2:]] == ["2", "9", "1"]


async def test_a_command_that_follows_a_run_knows_them_at_its_end(house: House) -> None:
    answer = await house.client.post("/simulate/?mode=batch", data=DATA, headers=CSV)
    remote = RemoteRun(str(house.client.make_url("/")))
    async with remote.connected(quiet=True):
        await remote.fetch((await answer.json())["id"])
        await remote.follow_to_end()
    assert [(row["line"], row["fate"]) for row in remote.in_need] == [(4, "missing"), (2, "rejected")]
