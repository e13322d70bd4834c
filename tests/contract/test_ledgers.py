"""The contract that every ledger meets: the one on PostgreSQL, and the fake of the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from promise_pub.db import apply_scheme, open_pool
from promise_pub.delivery.evidence.claims import Claim
from promise_pub.delivery.evidence.mail_sum import MailSum
from promise_pub.delivery.evidence.row_map import Claimed, Piece, RowMap
from promise_pub.delivery.rows.look_up import MailRows
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.delivery.store.query import RunSelection, Sort
from promise_pub.delivery.telling import tell_cleared
from promise_pub.errors import DatabaseError, NotClearable, RunDeleted, RunNotFound, RunTaken
from promise_pub.event_records import OutboxEvent
from promise_pub.fates import Fate, RowGroup
from promise_pub.parameters import Mode, Parameters
from promise_pub.parameters.columns import NAME_AND_MAIL
from promise_pub.records import (
    Batch,
    ConfirmLatency,
    Counts,
    EarlierSession,
    Fault,
    Finding,
    FindingKind,
    Rejected,
    Repeats,
    Resent,
    Row,
    RunReport,
    Seconds,
    SessionView,
    State,
    StoredFile,
    Verdict,
)
from promise_pub.resume_state import Checkpoint, ResumeState
from promise_pub.settings.model import DatabaseSettings
from tests.fakes import FakeLedger

NOW = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
PARAMETERS = Parameters(
    Mode.BATCH,
    timeout=3,
    clear=True,
    rate=7,
    profile=((100, 10.0), (7, 0.125)),
    columns=("it's {1,2}", "NULL", '"', "\N{CRAB}"),
    header=True,
    delimiter="\t",
    encoding="cp1252",
)


@dataclass
class Subject:
    """A ledger, and how a consumer saves mails beside it."""

    ledger: Any
    save: Callable[..., Awaitable[None]]


@asynccontextmanager
async def fake(_: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    ledger = FakeLedger()

    async def save(*mails: str) -> None:
        ledger.employees += [mail for mail in mails if mail not in ledger.employees]

    yield Subject(ledger, save)


@asynccontextmanager
async def real(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    database: DatabaseSettings = request.getfixturevalue("database")
    async with open_pool(database, max_size=3) as pool, ServerLocks(pool) as locks:

        async def save(*mails: str) -> None:
            for mail in mails:
                await pool.execute(
                    "INSERT INTO employees (name, mail) VALUES ('n', $1) ON CONFLICT DO NOTHING",
                    mail,
                )

        yield Subject(Ledger(pool, locks), save)


@pytest.fixture(params=["fake", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "postgresql":
        request.getfixturevalue("database")
    return str(request.param)


@pytest.fixture
async def subject(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async with (fake if kind == "fake" else real)(request) as made:
        yield made


def report(**changes: Any) -> RunReport:
    run = RunReport(
        id=str(uuid4()),
        parameters=PARAMETERS,
        file=StoredFile("O'Brien \N{CRAB}.csv", 5_000_000_000, "abc"),
        created_at=NOW,
    )
    return replace(run, **changes)


def cleared(rows: int) -> OutboxEvent:
    return tell_cleared(report(), rows)


async def rows(*mails: str, name: str = "n", in_batches_of: int = 2) -> AsyncIterator[Batch]:
    everything = [Row(number, name, mail) for number, mail in enumerate(mails, 1)]
    for start in range(0, len(everything), in_batches_of):
        yield Batch(everything[start : start + in_batches_of], [], 0, 0)


async def test_the_newest_runs_come_first_a_page_at_a_time(subject: Subject) -> None:
    runs = [report(created_at=NOW + timedelta(seconds=n)) for n in (2, 0, 1)]
    for run in runs:
        await subject.ledger.open_run(run)
    assert await subject.ledger.list_runs(2) == ([runs[0], runs[2]], 3)
    assert await subject.ledger.list_runs(2, 2) == ([runs[1]], 3)
    assert await subject.ledger.list_runs(2, 4) == ([], 3)


async def kept(ledger: Any, *runs: RunReport) -> None:
    for run in runs:
        await ledger.open_run(run)
        await ledger.write_run(run)


def named(name: str, **changes: Any) -> RunReport:
    return report(file=StoredFile(name, 1, "h"), **changes)


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        (Sort.STARTED, ["b.csv", "Ärzte.csv", "A.csv", "c.csv"]),
        (Sort.FILE, ["A.csv", "b.csv", "c.csv", "Ärzte.csv"]),
        (Sort.SENT, ["c.csv", "A.csv", "b.csv", "Ärzte.csv"]),
        (Sort.SECONDS, ["Ärzte.csv", "b.csv", "c.csv", "A.csv"]),
    ],
)
async def test_the_history_is_sorted_both_ways(subject: Subject, sort: Sort, names: list[str]) -> None:
    for at, name, sent, seconds in [
        (3, "c.csv", 0, 10.0),
        (0, "b.csv", 20, 9.5),
        (2, "A.csv", 3, 100.0),
        (1, "Ärzte.csv", 100, 0.0),
    ]:
        run = named(
            name,
            created_at=NOW + timedelta(seconds=at),
            counts=Counts(confirmed=sent),
            seconds=Seconds(total=seconds),
        )
        await kept(subject.ledger, run)
    for descending in (False, True):
        which = RunSelection(sort=sort, descending=descending)
        whole = [*reversed(names)] if descending else names
        for most, skip in ((4, 0), (2, 1), (3, 3)):
            page, total = await subject.ledger.list_runs(most, skip, which)
            assert [run.file.name for run in page] == whole[skip : skip + most]
            assert total == 4


@pytest.mark.parametrize("sort", Sort)
async def test_equal_runs_stand_in_one_order_over_all_pages(subject: Subject, sort: Sort) -> None:
    runs = [report() for _ in range(5)]
    await kept(subject.ledger, *runs)
    ids = sorted(run.id for run in runs)
    for descending in (False, True):
        which = RunSelection(sort=sort, descending=descending)
        pages = [(await subject.ledger.list_runs(2, skip, which))[0] for skip in (0, 2, 4)]
        shown = [run.id for page in pages for run in page]
        assert shown == ([*reversed(ids)] if descending else ids)


@pytest.mark.parametrize(
    ("which", "names"),
    [
        (RunSelection(), ["1.csv", "2.csv", "3.csv", "4.csv"]),
        (RunSelection(state=State.COMPLETED), ["1.csv", "2.csv"]),
        (RunSelection(state=State.QUEUED), []),
        (RunSelection(verdict=Verdict.BROKEN), ["2.csv"]),
        (RunSelection(mode=Mode.LIVE), ["1.csv", "4.csv"]),
        (RunSelection(mode=Mode.LIVE, state=State.FAILED), ["4.csv"]),
        (RunSelection(file="3."), ["3.csv"]),
        (RunSelection(file=".CSV", verdict=Verdict.KEPT), ["1.csv"]),
    ],
)
async def test_the_history_holds_what_was_asked_for_and_counts_it(
    subject: Subject, which: RunSelection, names: list[str]
) -> None:
    live, batch = Parameters(Mode.LIVE), Parameters(Mode.BATCH)
    await kept(
        subject.ledger,
        named("1.csv", parameters=live, state=State.COMPLETED, verdict=Verdict.KEPT),
        named("2.csv", parameters=batch, state=State.COMPLETED, verdict=Verdict.BROKEN),
        named("3.csv", parameters=batch, state=State.FAILED, error=Fault("c", "m")),
        named("4.csv", parameters=live, state=State.FAILED, error=Fault("c", "m")),
    )
    page, total = await subject.ledger.list_runs(10, 0, replace(which, sort=Sort.FILE, descending=False))
    assert ([run.file.name for run in page], total) == (names, len(names))
    assert (await subject.ledger.list_runs(1, 1, which))[1] == len(names)


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("%", ["50%.csv"]),
        ("_", ["a_b.csv"]),
        ("\\", ["back\\slash.csv"]),
        ("'; --", ["'; --.csv"]),
        ("ä", ["ÄRZTE.csv"]),
        ("\N{CRAB}", ["\N{CRAB}.csv"]),
        ("A_B", ["a_b.csv"]),
        ("nowhere", []),
    ],
)
async def test_every_character_of_a_file_name_stands_for_itself(subject: Subject, part: str, names: list[str]) -> None:
    for name in ("50%.csv", "a_b.csv", "axb.csv", "back\\slash.csv", "'; --.csv", "ÄRZTE.csv"):
        await kept(subject.ledger, named(name))
    await kept(subject.ledger, named("\N{CRAB}.csv"))
    page, _ = await subject.ledger.list_runs(10, 0, RunSelection(file=part))
    assert [run.file.name for run in page] == names


async def test_a_run_that_was_opened_waits(subject: Subject) -> None:
    run = report()
    await subject.ledger.open_run(run)
    assert await subject.ledger.get_run(run.id) == run


async def test_a_run_keeps_who_started_it(subject: Subject) -> None:
    run = replace(report(), started_by="O'Brien \N{CRAB}")
    await subject.ledger.open_run(run)
    await subject.ledger.write_run(replace(run, state=State.NEGOTIATING))
    assert (await subject.ledger.get_run(run.id)).started_by == run.started_by


async def test_a_run_of_a_plain_file_is_one_of_names_and_mails(subject: Subject) -> None:
    run = report(parameters=Parameters())
    await subject.ledger.open_run(run)
    assert (await subject.ledger.get_run(run.id)).parameters == Parameters()


@pytest.mark.parametrize(
    "changes",
    [
        {"state": State.NEGOTIATING, "started_at": NOW},
        {
            "state": State.COMPLETED,
            "started_at": NOW,
            "finished_at": NOW,
            "seconds": Seconds(0.1, 0.2, 3.25, 4, 7.55),
            "counts": Counts(10**10, 2, 9, 8, 3, 1, 5),
            "returned_rows": "1-20,25",
            "nacked_rows": "7 and 3 more ranges",
            "session": SessionView("u", 10**10, 8, 1, 0),
            "db_count": 10**10,
            "verdict": Verdict.KEPT,
            "explanation": ("one", "it's \N{CRAB} \u202e {two}, \"three\\"),
            "findings": (
                Finding(FindingKind.DUPLICATE, Verdict.KEPT, 10**10),
                Finding(FindingKind.NO_DIGEST, Verdict.KEPT),
            ),
            "confirm_ms": ConfirmLatency(1.25, 2, 3, 4.5),
            "unconfirmed_rows": "5,7-9",
            "row_groups": (RowGroup(Fate.REJECTED, 2), RowGroup(Fate.SAVED, 10**10, "it's {one}")),
        },
        {"state": State.FAILED, "error": Fault("broker_lost", "gone: '; DROP TABLE runs; --")},
        {"state": State.DRAINING, "session": SessionView("u")},
        {
            "session": SessionView("u", 9, 4, 3, 2, rows="1-9", duplicate_rows="1-2,7", invalid_rows="8-9"),
            "earlier": (EarlierSession(SessionView("v", duplicate_rows="", invalid_rows="1"), 1, 0),),
        },
    ],
    ids=["going", "completed", "failed", "a silent consumer", "lists of rows"],
)
async def test_what_is_written_is_what_is_read(subject: Subject, changes: Any) -> None:
    run = report()
    await subject.ledger.open_run(run)
    written = replace(run, **changes)
    await subject.ledger.write_run(replace(written, counts=Counts(read=1)))
    await subject.ledger.write_run(written)
    assert await subject.ledger.get_run(run.id) == written


async def test_a_runs_end_is_recorded_whatever_characters_it_tells(
    database: DatabaseSettings,
) -> None:
    odd, kept = "a\0b\ud800c", "a\ufffdb?c"
    run = report()
    async with open_pool(database, max_size=3) as pool, ServerLocks(pool) as locks:
        ledger = Ledger(pool, locks)
        await ledger.open_run(run)
        await ledger.add_rejects(run.id, [Rejected(1, odd, odd)])
        ended = replace(
            run,
            state=State.FAILED,
            error=Fault("odd", odd),
            explanation=(odd,),
            resends=(Resent(1, odd),),
        )
        await ledger.write_run(ended)
        told = await ledger.get_run(run.id)
        assert await ledger.list_rejects(run.id, 9) == [Rejected(1, kept, kept)]
    assert told.error == Fault("odd", kept)
    assert (told.explanation, told.resends[0].reason) == ((kept,), kept)


async def test_findings_that_an_older_version_kept_beside_the_checkpoint_are_read(database: DatabaseSettings) -> None:
    findings = (Finding(FindingKind.DUPLICATE, Verdict.KEPT, 3), Finding(FindingKind.NO_DIGEST, Verdict.KEPT))
    old = report(findings=findings, resume_state=ResumeState(Checkpoint(row=7, digest="d"), after=2))
    new = report(findings=findings[:1])
    async with open_pool(database, max_size=3) as pool, ServerLocks(pool) as locks:
        ledger = Ledger(pool, locks)
        for run in (old, new):
            await ledger.open_run(run)
            await ledger.write_run(run)
        moved = "SET going = going || jsonb_build_object('findings', findings), findings = '[]' WHERE id = $1"
        await pool.execute(f"UPDATE runs {moved}", old.id)
        assert await ledger.get_run(old.id) == replace(old, findings=())
        for _ in range(2):
            await apply_scheme(pool)
            assert [await ledger.get_run(run.id) for run in (old, new)] == [old, new]


async def test_what_only_another_version_knows_is_left_out(database: DatabaseSettings) -> None:
    run = report(
        session=SessionView("u", 9),
        earlier=(EarlierSession(SessionView("v"), 1, 2),),
        confirm_ms=ConfirmLatency(1, 2, 3, 4),
        resends=(Resent(2, "lost"),),
        seconds=Seconds(total=3),
        resume_state=ResumeState(Checkpoint(row=7), after=2),
    )
    other = """'{"other": {"a": 1}}'"""
    async with open_pool(database, max_size=3) as pool, ServerLocks(pool) as locks:
        ledger = Ledger(pool, locks)
        await ledger.open_run(run)
        await ledger.write_run(run)
        await pool.execute(f"""
            UPDATE runs SET seconds = seconds || {other}, session = session || {other},
                confirm_ms = confirm_ms || {other}, resends = jsonb_build_array(resends -> 0 || {other}),
                earlier = jsonb_set(earlier, '{{0,session,other}}', {other}),
                going = jsonb_set(going, '{{checkpoint,other}}', {other}) || {other}
        """)
        assert await ledger.get_run(run.id) == run


async def test_runs_may_be_a_view(database: DatabaseSettings) -> None:
    run = report()
    async with open_pool(database, max_size=3) as pool, ServerLocks(pool) as locks:
        await pool.execute("ALTER TABLE runs RENAME TO all_runs; CREATE VIEW runs AS SELECT * FROM all_runs")
        ledger = Ledger(pool, locks)
        await ledger.open_run(run)
        await ledger.write_run(replace(run, state=State.FAILED))
        assert (await ledger.get_run(run.id)).state is State.FAILED


@asynccontextmanager
async def employees_as(database: DatabaseSettings, statement: str) -> AsyncIterator[Ledger]:
    async with open_pool(database, max_size=1) as pool:
        await pool.execute("INSERT INTO employees (name, mail) VALUES ('n', 'a'), ('n', 'b')")
        await pool.execute(statement)
        yield Ledger(pool)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE heads (employee BIGINT REFERENCES employees (id))",
        "ALTER TABLE employees ADD COLUMN head BIGINT REFERENCES employees (id)",
        "ALTER TABLE employees RENAME TO people; CREATE VIEW employees AS SELECT * FROM people",
    ],
    ids=["referred to", "referred to by itself", "a view"],
)
async def test_employees_are_cleared_where_they_cannot_be_truncated(database: DatabaseSettings, statement: str) -> None:
    async with employees_as(database, statement) as ledger:
        await ledger.require_clearable()
        await ledger.clear_employees(cleared)
        assert await ledger.count_employees() == 0


async def test_a_view_that_nothing_can_be_deleted_from_is_told(database: DatabaseSettings) -> None:
    view = "CREATE VIEW employees AS SELECT DISTINCT * FROM people"
    renamed = f"ALTER TABLE employees RENAME TO people; {view}"
    async with employees_as(database, renamed) as ledger:
        for clear in (ledger.require_clearable, partial(ledger.clear_employees, cleared)):
            with pytest.raises(NotClearable, match="nothing can be deleted from it"):
                await clear()
        assert await ledger.count_employees() == 2


async def test_rows_that_others_refer_to_are_not_cleared(database: DatabaseSettings) -> None:
    referring = (
        "CREATE TABLE heads (employee BIGINT REFERENCES employees (id)); INSERT INTO heads SELECT id FROM employees"
    )
    async with employees_as(database, referring) as ledger:
        with pytest.raises(NotClearable, match="rows of heads refer to its rows"):
            await ledger.clear_employees(cleared)
        assert await ledger.count_employees() == 2


async def test_a_position_is_not_kept(subject: Subject) -> None:
    run = report()
    await subject.ledger.open_run(replace(run, position=3))
    assert (await subject.ledger.get_run(run.id)).position is None


async def test_a_run_is_opened_once(subject: Subject) -> None:
    run = report()
    await subject.ledger.open_run(run)
    with pytest.raises(DatabaseError):
        await subject.ledger.open_run(run)


async def test_writing_a_run_that_was_never_opened_makes_none(subject: Subject) -> None:
    run = report()
    with suppress(RunTaken):
        await subject.ledger.write_run(run)
    with pytest.raises(RunNotFound):
        await subject.ledger.get_run(run.id)


async def test_rejected_rows_are_told_in_the_order_of_the_file_and_once(subject: Subject) -> None:
    run = report()
    await subject.ledger.open_run(run)
    first = [Rejected(line, f"reason {line}", "<b>\N{CRAB}'\\") for line in (7, 3, 10)]
    await subject.ledger.add_rejects(run.id, first)
    await subject.ledger.add_rejects(run.id, first)  # a write that was cut off is written again
    await subject.ledger.add_rejects(run.id, [Rejected(5, "5", "")])
    await subject.ledger.add_rejects(run.id, [])
    stored = await subject.ledger.list_rejects(run.id, 100)
    assert stored == sorted([*first, Rejected(5, "5", "")])
    assert await subject.ledger.list_rejects(run.id, 2) == stored[:2]
    assert await subject.ledger.list_rejects(str(uuid4()), 100) == []


async def test_rejected_rows_need_their_run(subject: Subject) -> None:
    with pytest.raises(RunDeleted):
        await subject.ledger.add_rejects(str(uuid4()), [Rejected(1, "r", "x")])


async def test_sessions_left_behind_are_known_to_who_goes_on(subject: Subject) -> None:
    run = report()
    await subject.ledger.open_run(run)
    state = replace(run.resume_state, left_behind=("3f2504e0", ""))
    await subject.ledger.write_run(replace(run, resume_state=state))
    assert (await subject.ledger.get_run(run.id)).resume_state == state


async def test_employees_are_counted_and_cleared(subject: Subject) -> None:
    ledger = subject.ledger
    assert (await ledger.count_employees(), await ledger.highest_employee_id()) == (0, 0)
    await subject.save("a", "b", "c")
    before = await ledger.highest_employee_id()
    assert (await ledger.count_employees(), before > 0) == (3, True)
    await ledger.clear_employees(cleared)
    assert (await ledger.count_employees(), await ledger.highest_employee_id()) == (0, 0)
    await subject.save("d")
    assert await ledger.highest_employee_id() > before  # so that nobody takes it for an old one


async def test_the_mails_that_employees_got_are_summed_up(subject: Subject) -> None:
    await subject.save("before")
    highest = await subject.ledger.highest_employee_id()
    assert await subject.ledger.sum_mails(highest) == MailSum()
    mails = ["a", "\N{CRAB}ä'\\", "x" * 127]
    await subject.save(*mails)
    expected = MailSum()
    expected.add(reversed(mails))
    assert await subject.ledger.sum_mails(highest) == expected
    other = MailSum()
    other.add(["a", "b", "c"])
    assert await subject.ledger.sum_mails(highest) != other


LONG = "x" * 128


async def count_repeats(
    ledger: Any,
    batches: AsyncIterator[Batch],
    highest: int,
    columns: tuple[str, ...] = NAME_AND_MAIL,
    after: int = 0,
) -> Repeats:
    """Counts them as a run's judge does."""
    mails = MailRows(RowMap([Piece(1, 1 << 40, Claimed(0, Claim.NOTHING))]), columns, after)
    async with ledger.look_up_mails(mails.read(numbered(batches))) as look_up:
        return replace(await look_up.count_repeats(highest), too_long=mails.too_long)


async def numbered(batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
    """Each row on the line of its number."""
    async for batch in batches:
        yield batch._replace(lines=[row.number for row in batch.rows])


@pytest.mark.parametrize(
    ("held", "mails", "repeats"),
    [
        ([], [], Repeats()),
        ([], ["a", "b", "c"], Repeats()),
        ([], ["a", "b", "a", "a", "b"], Repeats(in_file=3)),
        (["a", "z"], ["a", "b"], Repeats(held_before=1)),
        (["a"], ["a", "a", "b"], Repeats(in_file=1, held_before=1)),
        ([], ["x" * 127, "x" * 127], Repeats(in_file=1)),
        ([], [LONG, LONG, "a"], Repeats(too_long=2)),
        ([], ["\N{CRAB}" * 127, "\N{CRAB}" * 128], Repeats(too_long=1)),
        ([], ["A", "a", "a ", " a", "ä", "a\u0308"], Repeats()),  # alike is not the same
        ([], ["tab\t", "tab\t", "new\nline", "back\\slash", "\\N", "\\N"], Repeats(in_file=2)),
    ],
)
async def test_repeats_are_counted(subject: Subject, held: list[str], mails: list[str], repeats: Repeats) -> None:
    await subject.save(*held)
    highest = await subject.ledger.highest_employee_id()
    short = {mail for mail in mails if len(mail) < 128}
    await subject.save(*short)  # what the run saved
    counted = replace(repeats, gained=len(short - {*held}))
    assert await count_repeats(subject.ledger, rows(*mails), highest) == counted


async def test_a_row_whose_name_is_too_long_holds_no_mail(subject: Subject) -> None:
    async def batches() -> AsyncIterator[Batch]:
        yield Batch([Row(1, LONG, "a"), Row(2, "n", "a"), Row(3, "n", "a")], [], 0, 0)

    counted = await count_repeats(subject.ledger, batches(), 0)
    assert counted == Repeats(in_file=1, too_long=1)


@pytest.mark.parametrize(
    ("columns", "rows", "repeats"),
    [
        (("mail",), [("a",), ("b",), ("a",), (LONG,)], Repeats(1, 1, 1)),
        (("mail", "id"), [("a", "1"), ("b", LONG), ("b", "1")], Repeats(1, 1, 0)),
        (("id", "mail", "name"), [("1", "a", "n"), ("1", "b", LONG)], Repeats(0, 1, 1)),
    ],
)
async def test_repeats_are_counted_by_the_mail_wherever_it_stands(
    subject: Subject,
    columns: tuple[str, ...],
    rows: list[tuple[str, ...]],
    repeats: Repeats,
) -> None:
    async def batches() -> AsyncIterator[Batch]:
        yield Batch([Row(number, *fields) for number, fields in enumerate(rows, 1)], [], 0, 0)

    await subject.save("a")
    highest = await subject.ledger.highest_employee_id()
    assert await count_repeats(subject.ledger, batches(), highest, columns) == repeats


async def test_what_was_cleared_was_not_held(subject: Subject) -> None:
    await subject.save("a", "b")
    await subject.ledger.clear_employees(cleared)
    highest = await subject.ledger.highest_employee_id()
    await subject.save("c", "a")
    assert await count_repeats(subject.ledger, rows("a", "c"), highest) == Repeats(gained=2)


async def test_rows_of_earlier_sessions_count_as_those_that_employees_lacks(
    subject: Subject,
) -> None:
    mails = rows("held", "lost", "lost", LONG, "twice", "held", "twice", "new", "new", LONG, "gone")
    await subject.save("held", "twice")
    highest = await subject.ledger.highest_employee_id()
    await subject.save("new", "another's")
    counted = await count_repeats(subject.ledger, mails, highest, after=5)
    assert counted == Repeats(in_file=1, held_before=2, too_long=1, gained=1, gone=1)


async def test_counting_twice_and_at_once_counts_the_same(subject: Subject) -> None:
    counted = await asyncio.gather(*(count_repeats(subject.ledger, rows("a", "a"), 0) for _ in range(3)))
    assert counted == [Repeats(in_file=1)] * 3
