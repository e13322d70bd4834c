"""The end of a run that completed: its verdict, and the fate of each of its records."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

from promise_pub.delivery.evidence.claims import Claim
from promise_pub.delivery.evidence.mail_sum import MailSum
from promise_pub.delivery.evidence.proof import Proof, needs_repeats
from promise_pub.delivery.evidence.row_map import RowMap
from promise_pub.delivery.evidence.verdict import judge
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.reader import read_batches
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.ports import MailLookUp, RunLedger
from promise_pub.delivery.rows.index import RowIndexer
from promise_pub.delivery.rows.look_up import MailRows, received_rows
from promise_pub.delivery.rows.plan import FatePlan
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import DatabaseError, StoredFileError
from promise_pub.records import Batch, Repeats, SessionView, State
from promise_pub.retries import Backoff, retry

log = logging.getLogger(__name__)


class _LookedUp(NamedTuple):
    """A look-up of the run's mails."""

    look_up: MailLookUp
    mails: MailRows

    async def count_repeats(self, highest_before: int) -> Repeats:
        return replace(await self.look_up.count_repeats(highest_before), too_long=self.mails.too_long)


@dataclass(frozen=True, slots=True)
class RunJudge:
    """Judges runs with the same ledger and files."""

    ledger: RunLedger
    uploads: Uploads
    backoff: Backoff

    async def judge(self, run: ActiveRun, session: SessionView) -> None:
        """Ends a run with its verdict, then writes the fates of its records.

        Raises DatabaseError or StoredFileError before there is a verdict. What goes wrong after it costs the fates alone.
        """
        employees = await retry(self.ledger.count_employees, self.backoff, DatabaseError)
        grown, rows, proof = employees - (run.resume_state.employees or 0), run.map_rows(), run.proof()

        def complete(repeats: Repeats | None = None) -> None:
            if run.clock.state is not State.COMPLETED:
                verdict = judge(run.counts(), *run.lost_rows(), session, repeats, grown, proof)
                run.complete(verdict, employees)

        async def attempt() -> None:
            needed = needs_repeats(run.counts(), session, grown, proof)
            if needed or await self._lacks_mails(run, rows, session, grown, proof):
                async with self._look_up(run, rows) as looked_up:
                    complete(await looked_up.count_repeats(run.resume_state.highest_id))
                    await self._write_fates(run, rows, looked_up)
                return
            complete()
            if _may_show_rows(rows, session, grown, proof):
                async with self._look_up(run, rows) as looked_up:
                    await self._write_fates(run, rows, looked_up)
            else:
                await self._write_fates(run, rows, None)

        try:
            await retry(attempt, self.backoff, DatabaseError)
        except (DatabaseError, StoredFileError) as error:
            if run.clock.state is not State.COMPLETED:
                raise
            log.warning("The rows of run %s are not listed: %s", run.id, error.message)

    async def _lacks_mails(self, run: ActiveRun, rows: RowMap, session: SessionView, grown: int, proof: Proof) -> bool:
        """Tells whether employees, which grew by as many rows as were saved, holds others than those of the file.

        That is what a sum over the mails on each side shows, without sorting them. It is only taken where all rows were
        saved: otherwise the mails are looked up one by one if that may show more.
        """
        saved = session.saved
        if not (saved and proof.countable) or not saved == grown == proof.rows(run.counts()):
            return False
        expected = MailSum()
        mail = run.parameters.columns.index("mail") + 1
        async with aclosing(self._read(run)) as batches:
            async for batch in batches:
                expected.add(row[mail] for row in received_rows(rows, batch))
        return await self.ledger.sum_mails(run.resume_state.highest_id) != expected

    def _read(self, run: ActiveRun) -> AsyncGenerator[Batch]:
        return read_batches(self.uploads.path(run.id), Dialect.of(run.parameters), lines=True)

    @asynccontextmanager
    async def _look_up(self, run: ActiveRun, rows: RowMap) -> AsyncIterator[_LookedUp]:
        """Looks up the mails of the file in employees."""
        mails = MailRows(rows, run.parameters.columns, run.resume_state.after)
        async with aclosing(self._read(run)) as batches, self.ledger.look_up_mails(mails.read(batches)) as look_up:
            yield _LookedUp(look_up, mails)

    async def _write_fates(self, run: ActiveRun, rows: RowMap, looked_up: _LookedUp | None) -> None:
        plan = await _plan(run, rows, looked_up)
        indexer = RowIndexer(rows, plan, looked_up.look_up if looked_up else None)
        path, dialect = self.uploads.path(run.id), Dialect.of(run.parameters)
        async with aclosing(indexer.make_chunks(path, dialect, run.file)) as chunks:
            await self.ledger.rows.write_chunks(run.id, chunks, lambda: indexer.groups)
        run.note_row_groups(indexer.groups)


def _may_show_rows(rows: RowMap, session: SessionView, grown: int, proof: Proof) -> bool:
    """Tells whether a look-up may show what became of rows that the consumer does not list, or which of those that it says
    it saved are not in employees."""
    saved = session.saved
    if session.received is None or saved is None or not proof.countable:
        return False
    claimed = rows.sessions[-1].rows
    unlisted = sum(len(claimed.get(claim, ())) for claim in (Claim.RECEIVED, Claim.NOTHING))
    return grown != saved or unlisted != saved


async def _plan(run: ActiveRun, rows: RowMap, looked_up: _LookedUp | None) -> FatePlan:
    if looked_up is None:
        return FatePlan.without_look_up(rows)
    state = run.resume_state
    held_up_to = state.highest_id if state.held_up_to is None else state.held_up_to
    cells = await looked_up.look_up.count_cells(held_up_to)
    claims = looked_up.mails.claims
    return FatePlan.of_look_up(rows, {(claims[cell], table): count for (cell, table), count in cells.items()})
