"""The end of a run that completed: its verdict, and the fate of each of its records."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

from promise_pub.delivery.evidence.proof import Proof, needs_repeats
from promise_pub.delivery.evidence.row_map import RowMap
from promise_pub.delivery.evidence.verdict import judge
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.reader import read_batches
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.ports import MailLookUp, RunLedger
from promise_pub.delivery.rows.index import RowIndexer
from promise_pub.delivery.rows.look_up import MailRows
from promise_pub.delivery.rows.plan import FatePlan
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import DatabaseError, StoredFileError
from promise_pub.records import Repeats, SessionView, State
from promise_pub.retries import Backoff, retry

log = logging.getLogger(__name__)


class _LookedUp(NamedTuple):
    """A look-up of the run's mails, and the repeats that it counted where the verdict needs them."""

    look_up: MailLookUp
    mails: MailRows
    repeats: Repeats | None


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
        grown, rows = employees - (run.resume_state.employees or 0), run.map_rows()

        async def attempt() -> None:
            async with self._looked_up(run, rows, session, grown) as looked_up:
                if run.clock.state is not State.COMPLETED:
                    repeats = looked_up.repeats if looked_up else None
                    verdict = judge(run.counts(), *run.lost_rows(), session, repeats, grown, run.proof())
                    run.complete(verdict, employees)
                await self._write_fates(run, rows, looked_up)

        try:
            await retry(attempt, self.backoff, DatabaseError)
        except (DatabaseError, StoredFileError) as error:
            if run.clock.state is not State.COMPLETED:
                raise
            log.warning("The rows of run %s are not listed: %s", run.id, error.message)

    @asynccontextmanager
    async def _looked_up(
        self, run: ActiveRun, rows: RowMap, session: SessionView, grown: int
    ) -> AsyncIterator[_LookedUp | None]:
        """Looks the mails up where the verdict, or the fate of a row, may rest on them."""
        proof, state = run.proof(), run.resume_state
        needed = needs_repeats(run.counts(), session, grown, proof)
        if not needed and not _may_show_rows(run, session, grown, proof):
            yield None
            return
        mails = MailRows(rows, run.parameters.columns, state.after)
        path, dialect = self.uploads.path(run.id), Dialect.of(run.parameters)
        async with aclosing(read_batches(path, dialect, lines=True)) as batches:
            async with self.ledger.look_up_mails(mails.read(batches)) as look_up:
                repeats = None
                if needed:
                    repeats = replace(await look_up.count_repeats(state.highest_id), too_long=mails.too_long)
                yield _LookedUp(look_up, mails, repeats)

    async def _write_fates(self, run: ActiveRun, rows: RowMap, looked_up: _LookedUp | None) -> None:
        plan = await _plan(run, rows, looked_up)
        indexer = RowIndexer(rows, plan, looked_up.look_up if looked_up else None)
        path, dialect = self.uploads.path(run.id), Dialect.of(run.parameters)
        async with aclosing(indexer.make_chunks(path, dialect, run.file)) as chunks:
            await self.ledger.rows.write_chunks(run.id, chunks)
        run.note_row_groups(indexer.groups)


def _may_show_rows(run: ActiveRun, session: SessionView, grown: int, proof: Proof) -> bool:
    """Tells whether a look-up may show which rows are missing, of a consumer that does not list those it received, or
    which are not in employees, where that did not grow by what the consumer says it saved."""
    received, saved = session.received, session.saved
    if received is None or saved is None or not proof.countable:
        return False
    return grown != saved or session.rows is None and received < proof.rows(run.counts())


async def _plan(run: ActiveRun, rows: RowMap, looked_up: _LookedUp | None) -> FatePlan:
    if looked_up is None:
        return FatePlan.without_look_up(rows)
    state = run.resume_state
    held_up_to = state.highest_id if state.held_up_to is None else state.held_up_to
    cells = await looked_up.look_up.count_cells(held_up_to)
    claims = looked_up.mails.claims
    return FatePlan.of_look_up(rows, {(claims[cell], table): count for (cell, table), count in cells.items()})
