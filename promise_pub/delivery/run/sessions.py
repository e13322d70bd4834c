"""The consumer's sessions that one run used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from promise_pub.consumer_totals import ConsumerTotals
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.errors import SessionLost
from promise_pub.records import EarlierSession, Finding, FindingKind, SessionView, Verdict, add_up_sessions

MAX_SESSIONS = 100  # earlier sessions of a run, over all its turns: the report and the verdict name each
MAX_ROWS_TEXT = 1_000  # characters of each list of row numbers of an earlier session: no verdict rests on them
MAX_LEFT_BEHIND = 100  # sessions left behind that a report names: the last ones


@dataclass
class RunSessions:
    """The current session of a run, those that ended before, and those that the consumer may still hold."""

    current: SessionView | None = None
    earlier: tuple[EarlierSession, ...] = ()
    left_behind: tuple[str, ...] = ()

    @property
    def totals(self) -> ConsumerTotals:
        """The consumer's counts, added up over all of them."""
        return add_up_sessions(self.current, self.earlier)

    def see(self, session: SessionView) -> None:
        """Notes the current session as it was just seen."""
        self.current = session

    def require_another(self, reason: str) -> None:
        """Raises SessionLost when the run has used up MAX_SESSIONS. `reason` says why it needs another."""
        if len(self.earlier) >= MAX_SESSIONS:
            raise SessionLost(
                f"The run has used up {MAX_SESSIONS} sessions: send its file again as a new run. {reason}"
            )

    def end_current(self, first: int, last: int) -> None:
        """Makes the current session an earlier one, which accounts for the rows `first` to `last`.

        Of several in a row that account for no row, the last stands for all: nothing rests on any of them.
        """
        if self.current is None:
            return
        session, self.current = self.current, None
        ended = EarlierSession(_shortened(session), first, last)
        if self.earlier and all(one.last < one.first for one in (self.earlier[-1], ended)):
            self.earlier = self.earlier[:-1]
        self.earlier = (*self.earlier, ended)

    def note_left_behind(self, session: SessionView | None) -> None:
        """Notes that the consumer did not confirm a removal. None: it may have made a session without naming it."""
        uuid = session.uuid if session else ""
        others = [one for one in self.left_behind if one != uuid]
        self.left_behind = (*others, uuid)[-MAX_LEFT_BEHIND:]

    def forget_left_behind(self, session: SessionView) -> None:
        """Removes a session from those left behind: the run continues in it, and will end it."""
        self.left_behind = tuple(one for one in self.left_behind if one != session.uuid)

    def find_left_behind(self) -> Iterator[Finding]:
        """Yields a finding about the sessions left behind, and one about a session without a name."""
        if named := [uuid for uuid in self.left_behind if uuid]:
            yield Finding(FindingKind.SESSION_NOT_REMOVED, Verdict.KEPT, facts={"uuids": named})
        if "" in self.left_behind:
            yield Finding(FindingKind.SESSION_NOT_NAMED, Verdict.KEPT)


def _shortened(session: SessionView) -> SessionView:
    """Returns the session without the lists of row numbers that are too long to keep for each earlier one."""

    def kept(text: str | None) -> str | None:
        return None if len(text or "") > MAX_ROWS_TEXT else text

    return replace(
        session,
        rows=kept(session.rows),
        duplicate_rows=kept(session.duplicate_rows),
        invalid_rows=kept(session.invalid_rows),
    )


def last_processed_row(session: SessionView, after: int, resent: int, *, resumed: bool = False) -> int:
    """Returns the last row that a session is known to have processed, of those that it got from row `after` + 1 on.

    A session reads its queue in order, and a row that was sent again may stand in it twice. After a resume the number of
    those is not known, so at most the saved rows count: a consumer saves each row once. Where the session reports row
    numbers, the first gap in them ends what is known.
    """
    done = session.done_with - resent
    if resumed:
        done = min(done, session.saved or 0)
    last = after + max(0, done)
    if session.rows is not None:
        gaps = RowRanges.parse(session.rows).missing(after + 1, last)
        last = next((first - 1 for first, _ in gaps), last)
    return last
