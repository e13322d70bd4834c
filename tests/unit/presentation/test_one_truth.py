"""Every face of a resumed run says the same of what the consumer received, saved and could not use."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from aiohttp import web

from promise_pub.cli import junit
from promise_pub.cli.output import history_table, print_history, print_run
from promise_pub.cli.picture import line
from promise_pub.delivery.run import lifecycle_log
from promise_pub.parameters import Parameters
from promise_pub.parameters.gate import parse_gate
from promise_pub.presentation.comparison import compare
from promise_pub.presentation.gauges import gauges
from promise_pub.presentation.run_json import SUMMARY, decode_run, encode_run, summarize_run
from promise_pub.records import Counts, EarlierSession, RunReport, SessionView, State
from promise_pub.terminal import out
from tests.run_parts import ended
from tests.web_house import Client, House, opened

RECEIVED, SAVED, REPEATS = 20_000, 19_900, 100
"""What both sessions together say; of the last one alone it is 12,173, 12,133 and 40."""


def resumed() -> RunReport:
    first = SessionView("a", received=9_000, saved=7_767, duplicates=60, invalid=0)
    return ended(
        counts=Counts(read=20_000, published=20_000, confirmed=20_000),
        session=SessionView("b", received=12_173, saved=12_133, duplicates=40, invalid=0),
        earlier=(EarlierSession(first, 1, 7_827),),
    )


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made


class Cells(HTMLParser):
    """The texts of a page, one after the other."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.feed(text)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    def after(self, name: str) -> list[str]:
        """What follows each text of this name."""
        return [self.texts[at + 1] for at, text in enumerate(self.texts) if text == name]


def test_the_json_of_a_run() -> None:
    told = encode_run(resumed())
    assert told["totals"] == {"received": RECEIVED, "saved": SAVED, "repeats": REPEATS, "unusable": 0}
    assert told["session"]["saved"] == 12_133, "this stays what the last session said"
    assert decode_run(told).totals == resumed().totals


def test_the_bars() -> None:
    *_, received, saved = gauges(resumed())
    assert (received.count, saved.count) == (RECEIVED, SAVED) and saved.note == "100 already there"
    assert "received 20,000, saved 19,900" in line(resumed())


def test_the_history_as_data() -> None:
    told = dict(zip(SUMMARY, summarize_run(resumed()), strict=True))
    assert (told["received"], told["saved"]) == (RECEIVED, SAVED)


def test_the_comparison() -> None:
    told = {fact.name: fact.values for fact in compare([resumed(), resumed()]) if fact.group == "Rows"}
    assert (told["received"][0], told["saved"][0], told["duplicates"][0]) == (RECEIVED, SAVED, REPEATS)


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    print_run(encode_run(resumed()), "text")
    assert re.search(r"^received +20,000\nsaved +19,900$", capsys.readouterr().out, re.M)
    print_run(encode_run(resumed()), "csv")
    head, values = capsys.readouterr().out.splitlines()
    told = dict(zip(head.split(","), values.split(","), strict=True))
    assert (told["received"], told["saved"]) == (str(RECEIVED), str(SAVED))
    print_history([resumed()], "json")
    assert json.loads(capsys.readouterr().out)[0]["totals"]["saved"] == SAVED
    monkeypatch.setattr(out, "width", 200)
    table = history_table([resumed()])
    cells = {str(column.header): [str(cell) for cell in column.cells] for column in table.columns}
    assert (cells["received"], cells["saved"]) == (["20,000"], ["19,900"])


def test_the_junit_report() -> None:
    document = ElementTree.fromstring(junit.report(encode_run(resumed()), None, "data.csv", "localhost"))
    told = {one.get("name"): one.get("value") for one in document.iter("property")}
    assert (told["totals.received"], told["totals.saved"]) == (str(RECEIVED), str(SAVED))


def test_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        lifecycle_log.log_ended(resumed())
    told = vars(caplog.records[-1])["fields"]
    assert (told["received"], told["saved"]) == (RECEIVED, SAVED)


async def test_the_pages(house: House) -> None:
    run = resumed()
    house.ledger.runs[run.id] = run
    page = Cells(await (await house.client.get(f"/runs/{run.id}")).text())
    assert page.after("Received") == ["20,000"] * 3, "the bar, the table and the report to print"
    assert page.after("Saved") == ["19,900"] * 3 and page.after("Duplicates") == ["100"]
    history = await (await house.client.get("/runs")).text()
    cells = dict(re.findall(r'data-name="(Received|Saved)"[^>]*>([^<]*)<', history))
    assert cells == {"Received": "20,000", "Saved": "19,900"}
    listed = await (await house.client.get("/runs?format=csv")).text()
    head, values = listed.splitlines()
    told = dict(zip(head.split(","), values.split(","), strict=True))
    assert (told["received"], told["saved"]) == (str(RECEIVED), str(SAVED))
    stream = await (await house.client.get(f"/runs/{run.id}/stream")).text()
    assert f'"saved": {SAVED}' in stream


async def test_the_report_to_hand_on(house: House) -> None:
    run = resumed()
    house.ledger.runs[run.id] = run
    page = Cells(await (await house.client.get(f"/runs/{run.id}/report.html")).text())
    assert (page.after("Received")[0], page.after("Saved")[0]) == ("20,000", "19,900")


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        ("saved != 19900 or received != 20000 or repeats != 100", True),
        ("saved = 19900", False),
        ("saved = 12133", True),
    ],
)
def test_a_gate(gate: str, passed: bool) -> None:
    assert encode_run(replace(resumed(), parameters=Parameters(fail_if=parse_gate(gate))))["passed"] is passed


def test_a_run_that_goes_on_in_another_session() -> None:
    going = ended(
        state=State.PUBLISHING,
        verdict=None,
        counts=Counts(read=100, published=60, confirmed=60),
        session=SessionView("b", received=0, saved=0),
        earlier=(EarlierSession(SessionView("a", received=40, saved=40), 1, 40),),
    )
    assert [gauge.count for gauge in gauges(going)][3:] == [40, 40]
