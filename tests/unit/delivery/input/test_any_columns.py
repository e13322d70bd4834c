"""Runs of files with other columns: what is published, what is recorded, what the verdict says, how they go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from promise_pub.delivery.input.reader import read_batches
from promise_pub.delivery.run import execute
from promise_pub.errors import BadHeader, NoUsableRow
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import State, Verdict
from tests.fakes import FakeConsumer, TellingConsumer, until
from tests.house import House

LIVE = Parameters(mode=Mode.LIVE)
HEADER = Parameters(mode=Mode.BATCH, header=True, columns=(), delimiter=";", encoding="cp1252")


class Seeing(FakeConsumer):
    """Keeps what it read."""

    def __init__(self, house: House) -> None:
        super().__init__(house.broker, house.ledger)
        self.seen: list[tuple[str, str]] = []

    def _read(self, uuid: str, most: int | None = None) -> None:
        queue = self.broker.queues.get(uuid, [])
        self.seen += [(one.message_id, one.body.decode()) for one in queue[:most]]
        super()._read(uuid, most)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "uploads")
    house.consumer = Seeing(house)
    house.runs = house.make_runs()
    async with house.runs:
        yield house


async def test_the_keys_of_the_header_are_published_and_recorded(house: House) -> None:
    text = 'Größe;mail\r\n"a;b";x@x\r\nonly one\r\n1€;y@y\r\n'.encode("cp1252")
    run = await house.finished(text, HEADER)
    assert [(number.rpartition(":")[2], json.loads(body)) for number, body in house.consumer.seen] == [
        ("1", {"Größe": "a;b", "mail": "x@x"}),
        ("2", {"Größe": "1€", "mail": "y@y"}),
    ]  # fmt: skip
    report = house.recorded(run)
    assert report.parameters.columns == ("Größe", "mail") and report.parameters.header
    assert (report.verdict, report.counts.read, report.counts.rejected) == (Verdict.KEPT, 3, 1)
    (rejected,) = await house.ledger.list_rejects(run.id, 10)
    assert (rejected.line, rejected.reason) == (3, "has 1 field, not 2")


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (b"", NoUsableRow, "The file is empty."),
        (b"\r\n\n", NoUsableRow, "The file is empty."),
        (b"a;b\n", NoUsableRow, "a header and no row"),
        (b"a;b\n1;2;3\n", NoUsableRow, "no usable row"),
        (b"a;a\n1;2\n", BadHeader, "'a' appears 2 times"),
        (b"a;\n1;2\n", BadHeader, "column 2 has no name"),
    ],
)
async def test_a_file_without_a_header_or_a_row_makes_no_run(
    house: House, text: bytes, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await house.submit(text, HEADER)
    assert not house.ledger.runs
    assert not any(house.folder.iterdir())


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("keeps", [True, False], ids=["old session", "new session"])
async def test_a_run_with_a_header_goes_on_where_it_stopped(
    house: House, monkeypatch: pytest.MonkeyPatch, mode: Mode, keeps: bool
) -> None:
    # So that checkpoints lie within the file, as they do in large ones.
    monkeypatch.setattr(execute, "read_batches", partial(read_batches, chunk_size=50))
    house.consumer.abandons = not keeps
    lines = [f"{n},{n}@x" for n in range(1, 61)]
    lines[1:1] = ["", "bad"]
    text = "\r\n".join(["\ufeffid,mail", *lines]).encode()
    parameters = Parameters(mode=mode, header=True, columns=(), rate=300)
    run = await house.submit(text, parameters)
    await until(lambda: house.runs.report(run).resume_state.checkpoint.row > 5)
    await house.runs.cancel(run.id)
    await run.done.wait()
    assert 5 < house.recorded(run).resume_state.checkpoint.row < 60
    again = await house.runs.resume(run.id)
    await asyncio.wait_for(again.done.wait(), 30)
    report = house.recorded(run)
    assert (report.state, report.verdict) == (State.COMPLETED, Verdict.KEPT)
    assert report.parameters == Parameters(mode=mode, header=True, columns=("id", "mail"), rate=300)
    assert (report.counts.read, report.counts.rejected, report.counts.confirmed) == (61, 1, 60)
    assert [one.line for one in await house.ledger.list_rejects(run.id, 10)] == [4]
    bodies = {number.rpartition(":")[2]: body for number, body in house.consumer.seen}
    assert bodies == {str(n): f'{{"id": "{n}", "mail": "{n}@x"}}' for n in range(1, 61)}


async def test_mails_are_counted_as_repeats_wherever_they_stand(house: House) -> None:
    parameters = Parameters(mode=Mode.BATCH, columns=("mail", "id"))
    run = await house.finished(b"a@x,1\nb@x,2\na@x,3\n", parameters)
    report = house.recorded(run)
    assert report.verdict is Verdict.KEPT
    assert report.explanation == ("1 row repeats a mail that was saved before",)


async def test_rows_without_a_mail_are_not_said_to_repeat_one(house: House) -> None:
    """The consumer saves none and does not say why, and there is nothing to count here."""
    run = await house.finished(b"1,2\n3,4\n", Parameters(mode=Mode.BATCH, columns=("id", "city")))
    report = house.recorded(run)
    assert report.verdict is Verdict.UNKNOWN
    assert report.explanation[-1] == (
        "2 rows were received and not saved, and rows without a mail cannot be counted as repeats: "
        "it reads 'name' and 'mail', and there is no 'name' and there is no 'mail'"
    )
    assert "look_up_mails" not in house.ledger.calls


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        (("id",), "there is no 'name' and there is no 'mail'"),
        (("name", "city"), "there is no 'mail'"),
        (("mail", "city"), "there is no 'name'"),
        (("Name", "Mail"), "'Name' is not 'name' and 'Mail' is not 'mail'"),
    ],
)
async def test_rows_that_the_consumer_cannot_use_break_the_promise(
    house: House, columns: tuple[str, ...], hint: str
) -> None:
    house.consumer = TellingConsumer(house.broker, house.ledger)
    text = "\n".join(",".join(["x"] * len(columns)) for _ in range(3)).encode()
    async with house.make_runs() as house.runs:
        run = await house.finished(text, Parameters(mode=Mode.BATCH, columns=columns))
    report = house.recorded(run)
    assert report.session and (report.session.saved, report.session.invalid) == (0, 3)
    assert report.verdict is Verdict.BROKEN
    assert report.explanation == (
        "3 rows were received, but of no use to the consumer: it reads 'name' and 'mail', and " + hint,
    )
