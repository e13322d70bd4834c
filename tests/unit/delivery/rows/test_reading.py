"""The records of a run, listed by fate, text and line: each as it stands in the file, and none twice."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.concurrency import background
from promise_pub.delivery.input import chunks, row_chunks
from promise_pub.delivery.input.chunks import in_order
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.reader import Reader
from promise_pub.delivery.input.row_chunks import Known
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.rows import reading
from promise_pub.delivery.rows.reading import SLICE, FoundRows, RowFate, RowFilter, RowReader
from promise_pub.errors import RowsLost, RowsNotReady
from promise_pub.fates import Fate
from promise_pub.parameters import Parameters
from promise_pub.records import Batch, Counts, Rejected, Row, RunReport, SessionView, State
from promise_pub.resume_state import Checkpoint, ResumeState
from tests.fakes import FakeLedger
from tests.reader_parts import FedReader


class House:
    """A reader, its ledger, and runs of files."""

    def __init__(self, folder: Path) -> None:
        self.ledger = FakeLedger()
        self.uploads = Uploads(folder, 1 << 30, 1)
        self.uploads.prepare()
        self.reader = RowReader(self.uploads, self.ledger)

    async def run(self, content: bytes, parameters: Parameters | None = None, **more: object) -> RunReport:
        """A run of this file that every row was saved of, unless told otherwise."""
        run_id = str(uuid4())
        async with self.uploads.receive(run_id) as upload:
            await upload.write(content)
            stored = await upload.finish("data.csv")
        await self.uploads.keep(run_id)
        parameters = parameters or Parameters()
        rows = [one for _, one in read(content, parameters)]
        accepted = sum(isinstance(one, Row) for one in rows)
        report = RunReport(
            run_id,
            parameters,
            stored,
            datetime.now(UTC),
            state=State.COMPLETED,
            counts=Counts(len(rows), len(rows) - accepted, accepted, accepted),
            session=SessionView("u", accepted, accepted, 0, 0),
        )
        report = replace(report, **more)  # type: ignore[arg-type]
        await self.ledger.open_run(report)
        return await self.reader.prepare(report)

    async def find(self, report: RunReport, wanted: RowFilter | None = None) -> list[RowFate]:
        return [row for found in await self.pieces(report, wanted) for row in found.rows]

    async def pieces(self, report: RunReport, wanted: RowFilter | None = None) -> list[FoundRows]:
        async with aclosing(self.reader.find(report, wanted or RowFilter())) as pieces:
            return [found async for found in pieces]


def read(content: bytes, parameters: Parameters) -> list[tuple[int, Row | Rejected]]:
    """All records of a file without a header, read at once."""
    reader = FedReader(Dialect.of(parameters), lines=True)
    return [record for batch in (reader.feed(content), reader.finish()) for record in in_order(batch)]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "uploads")


LOST = {"returned_rows": "2,5-6", "nacked_rows": "4", "unconfirmed_rows": "9"}
marks = st.sampled_from(["a", "é", ",", '"', "\n", "\r\n", "\r", ";", "\0", "x" * 30, ""])


@settings(deadline=None, max_examples=100)
@given(st.lists(marks, max_size=40), st.sampled_from(["utf-8", "latin-1", "cp1252"]), st.sampled_from(",;"))
async def test_every_record_is_found_as_it_stands_in_the_file(pieces: list[str], encoding: str, delimiter: str) -> None:
    parameters = Parameters(encoding=encoding, delimiter=delimiter)
    content = "".join(pieces).encode(encoding)
    expected = read(content, parameters)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK", 16)
        house = House(Path(folder) / "uploads")
        report = await house.run(content, parameters, **LOST)
        rows = await house.find(report)
        assert [row.line for row in rows] == [line for line, _ in expected]
        for row, (_, record) in zip(rows, expected, strict=True):
            if isinstance(record, Row):
                assert (row.number, row.values) == (record.number, record.fields)
            else:
                assert (row.number, row.reason, row.content) == (None, record.reason, record.excerpt)
        assert dict(Counter(row.fate for row in rows)) == report.fates
        for fate in Fate:
            assert await house.find(report, RowFilter([fate])) == [row for row in rows if row.fate is fate]
        for row in rows[::5]:
            after = [one for one in rows if one.line > row.line]
            assert await house.find(report, RowFilter(after=row.line)) == after
            assert await house.reader.find_first(report, RowFilter(after=row.line), 2) == after[:2]
            if row.content:
                same = [one for one in rows if row.content.casefold() in (one.content or "").casefold()]
                assert await house.find(report, RowFilter(text=row.content)) == same


async def test_fates_of_rows_that_the_broker_lost(house: House) -> None:
    content = b"".join(b"n%d,m%d\n" % (n, n) for n in range(1, 13))
    counts = Counts(read=10, published=9, confirmed=4, returned=3, nacked=1)
    report = await house.run(content, counts=counts, state=State.FAILED, session=None, **LOST)
    fates = {row.number: row.fate for row in await house.find(report)}
    assert [number for number, fate in fates.items() if fate is Fate.RETURNED] == [2, 5, 6]
    assert fates[4] is Fate.NACKED
    assert fates[9] is Fate.UNCONFIRMED
    assert [fates[number] for number in (10, 11, 12)] == [Fate.UNPUBLISHED] * 3
    assert fates[1] is Fate.UNKNOWN


async def test_ranges_that_a_report_cuts_short_come_from_its_checkpoint(house: House) -> None:
    content = b"".join(b"n%d,m%d\n" % (n, n) for n in range(1, 13))
    state = ResumeState(Checkpoint(row=8, returned_rows="2,4,6"))
    report = await house.run(content, returned_rows="2 and 4 more ranges", resume_state=state)
    returned = await house.find(report, RowFilter([Fate.RETURNED]))
    assert [row.number for row in returned] == [2, 4, 6]


async def test_a_run_in_progress_has_no_rows_yet(house: House) -> None:
    report = await house.run(b"a,b\n")
    with pytest.raises(RowsNotReady):
        await house.reader.prepare(replace(report, state=State.PUBLISHING))


class TestAFileThatIsNotWhatItWas:
    CONTENT = b'a,b\nbad\n"c\nd",e\nf,g\n'

    async def test_when_it_is_gone_lines_and_fates_remain(self, house: House) -> None:
        report = await house.run(self.CONTENT)
        await house.ledger.add_rejects(report.id, [Rejected(2, "has 1 field, not 2", "bad")])
        before = await house.find(report)
        house.uploads.path(report.id).unlink()
        (found,) = await house.pieces(report)
        assert found.trouble
        assert [row[:5] for row in found.rows] == [row[:5] for row in before]
        assert [row.content for row in found.rows] == [None, "bad", None, None]

    async def test_when_it_has_changed_no_content_is_shown(self, house: House) -> None:
        report = await house.run(self.CONTENT)
        house.uploads.path(report.id).write_bytes(self.CONTENT.replace(b"f", b"X"))
        (found,) = await house.pieces(report)
        assert "changed" in found.trouble
        assert {row.values for row in found.rows} == {None}

    async def test_when_it_is_gone_no_text_is_found(self, house: House) -> None:
        report = await house.run(self.CONTENT)
        house.uploads.path(report.id).unlink()
        with pytest.raises(RowsLost):
            await house.find(report, RowFilter(text="a"))

    @pytest.mark.parametrize("content", [None, b"a,b\n", CONTENT.replace(b"f", b"X"), CONTENT + b"h,i\n"])
    async def test_before_its_rows_were_listed_they_are_lost(self, house: House, content: bytes | None) -> None:
        report = await house.run(self.CONTENT)
        path = house.uploads.path(report.id)
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        house.ledger.rows.chunks.clear()
        unlisted = replace(report, row_groups=())
        house.ledger.runs[report.id] = unlisted
        with pytest.raises(RowsLost):
            await house.reader.prepare(unlisted)
        assert not house.ledger.rows.chunks


async def test_a_run_that_is_resumed_while_its_rows_are_read_is_not_read_on(house: House) -> None:
    """Its chunks may be of the next turn, whose groups are others."""
    report = await house.run(b"a,b\nc,d\n", state=State.FAILED, session=None)
    assert len(await house.find(report)) == 2
    house.ledger.runs[report.id] = replace(report, state=State.PUBLISHING, row_groups=())
    with pytest.raises(RowsNotReady):
        await house.find(report)


async def test_rows_of_an_interrupted_run_are_unpublished_as_far_as_that_is_on_record(house: House) -> None:
    report = await house.run(b"a,b\nc,d\n", state=State.INTERRUPTED, session=None, counts=Counts())
    assert {(row.fate, row.reason) for row in await house.find(report)} == {
        (Fate.UNPUBLISHED, "not published, as far as its server wrote down before it ended")
    }


async def test_of_a_piece_of_tiny_rows_only_those_wanted_are_worked_out(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = {"nacked_rows": "2,17"}
    run = await house.run(b"a\n" * 30_000, Parameters(columns=("name",)), **lost)
    turn, made = 0, Counter[int]()

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def count(*known: Any) -> Known:
        made[turn] += 1
        return Known(*known)

    monkeypatch.setattr(row_chunks, "Known", count)
    async with background(count_turns()):
        found = await house.find(run, RowFilter((Fate.NACKED,)))
        assert [one.number for one in found] == [2, 17] and made.total() == 2
        made.clear()
        found = await house.find(run, RowFilter(after=10_000))
        assert [one.line for one in found] == [*range(10_001, 30_001)]
        assert made.total() == 20_000 and max(made.values()) <= SLICE
        house.uploads.path(run.id).unlink()
        made.clear()
        assert len(await house.find(run)) == 30_000
        assert made.total() == 30_000 and max(made.values()) <= SLICE


async def test_only_the_rows_that_are_asked_for_are_read_and_made(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await house.run(b"".join(b"n%d,m%d\n" % (n, n) for n in range(30_000)))
    read, made = list[int](), list[str]()
    write, batches = Dialect.write, Reader.batches

    def note_write(dialect: Dialect, fields: Sequence[str]) -> str:
        made.append(write(dialect, fields))
        return made[-1]

    def note_bytes(reader: Reader, data: bytes, *, last: bool = False) -> Iterator[Batch]:
        read.append(len(data))
        return batches(reader, data, last=last)

    monkeypatch.setattr(Dialect, "write", note_write)
    monkeypatch.setattr(Reader, "batches", note_bytes)
    for after in (0, 20_000, 29_997):
        found = await house.reader.find_first(run, RowFilter(after=after), 5)
        assert [row.line for row in found] == [*range(after + 1, min(after + 6, 30_001))]
        assert made == [row.content for row in found] and sum(read) == sum(len(line) + 1 for line in made)
        made.clear()
        read.clear()


class TestTurns:
    async def test_pages_are_made_one_at_a_time(self, house: House) -> None:
        at_once, most = 0, 0

        async def make() -> None:
            nonlocal at_once, most
            async with house.reader.take_page_turn():
                at_once += 1
                most = max(most, at_once)
                await asyncio.sleep(0)
                at_once -= 1

        await asyncio.gather(*(make() for _ in range(20)))
        assert most == 1

    async def test_one_that_hangs_holds_nobody_up_for_long(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "TURN_PATIENCE", 0.01)
        async with house.reader.take_page_turn():
            async with asyncio.timeout(5), house.reader.take_page_turn():
                pass
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0), house.reader.take_page_turn():
                    raise AssertionError("it was cancelled while it waited")
        async with asyncio.timeout(5), house.reader.take_page_turn():  # it was given back once, not three times
            pass


async def test_rows_that_take_long_to_list_are_not_waited_for_and_listed_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks meanwhile is told so; the work is done once, and there for who comes later."""
    monkeypatch.setattr(reading, "BUILD_PATIENCE", 0.01)
    write, go_on, begun = house.ledger.rows.write_ended_run, asyncio.Event(), 0

    async def write_late(*given: Any) -> None:
        nonlocal begun
        begun += 1
        await go_on.wait()
        await write(*given)

    monkeypatch.setattr(house.ledger.rows, "write_ended_run", write_late)
    with pytest.raises(RowsNotReady, match="being listed"):
        await house.run(b"Ann,a@x\n")
    (report,) = (await house.ledger.list_runs(1))[0]
    for _ in range(3):
        with pytest.raises(RowsNotReady, match="being listed"):
            await house.reader.prepare(report)
    go_on.set()
    monkeypatch.setattr(reading, "BUILD_PATIENCE", 10.0)
    assert (await house.reader.prepare(report)).row_groups
    assert begun == 1 and not house.reader._builds
    await house.reader.close()
