"""Evidence for a verdict besides the consumer's own counts: rows confirmed, digests, and what the table employees shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Self

from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.parameters.columns import NAME_AND_MAIL
from promise_pub.records import Counts, EarlierSession, Repeats, SessionView


class Proof(NamedTuple):
    """Facts about a run besides its counts.

    `confirmed`: the session's rows that the broker confirmed; None: all of the run's. `earlier`: sessions that made up
    for the rows before. `digest`: of the session's accepted rows, None where some of them were lost at the broker.
    `again`: some of them were sent more than once. `resumed`: the run was interrupted, and other runs may have been since.
    `columns`: the keys of its messages.
    """

    confirmed: RowRanges | None = None
    earlier: tuple[EarlierSession, ...] = ()
    digest: str | None = None
    again: bool = False
    resumed: bool = False
    columns: Sequence[str] = NAME_AND_MAIL

    def equal(self, session: SessionView) -> bool:
        """Tells whether the consumer received every row of the session as it was published, and no other."""
        return self.digest is not None and self.digest == session.digest

    def rows(self, counts: Counts) -> int:
        """Counts the rows of the session that the broker confirmed."""
        return counts.confirmed if self.confirmed is None else len(self.confirmed)

    @property
    def countable(self) -> bool:
        """Tells whether rows have a mail, whose repeats can be counted."""
        return "mail" in self.columns

    @property
    def shared(self) -> bool:
        """Tells whether another session, or another run, may have saved rows of the file meanwhile."""
        return bool(self.earlier) or self.resumed


NO_PROOF = Proof()


class Evidence(NamedTuple):
    """Counts of this side: rows that could not be saved, and by how many rows the employees table grew.

    `growth_fits`: the table grew by what the consumer says it saved, or nobody knows by how much it grew.
    `saved_by_others`: rows of the file that employees gained and that this session did not save. `long_rows_saved`: the
    session saved rows that are too long for employees; `repeats.too_long` are the others. `lacking`: rows that the
    session says it saved and whose mails employees lacks, although it grew by as many.
    """

    repeats: Repeats
    grown: int | None
    growth_fits: bool
    saved_by_others: int
    proof: Proof
    long_rows_saved: bool = False
    lacking: int = 0

    @classmethod
    def of(
        cls,
        confirmed: int,
        session: SessionView,
        repeats: Repeats | None,
        grown: int | None,
        proof: Proof,
    ) -> Self:
        """Weighs the growth of employees against what the session says it saved.

        The two must be equal, unless others may have saved meanwhile: a dead session commits late what it had in hand,
        and other runs save what they like. Then it is enough that employees gained as many mails of the file.
        Where it grew by more rows than are short enough for it, long ones were saved all the same, cut short or to a
        wider table; those of them that were not may repeat a mail.
        """
        saved, fits, others = session.saved or 0, grown in (None, session.saved), 0
        if repeats and proof.shared:
            fits = fits or repeats.gained >= saved
            others = max(0, repeats.gained - saved)
        lacking = max(0, saved - repeats.gained - repeats.too_long) if repeats and fits else 0
        evidence = cls(repeats or Repeats(), grown, fits, others, proof, lacking=lacking)
        left = confirmed - saved - evidence.repeated
        if fits and grown and 0 <= left < evidence.repeats.too_long:
            repeats = replace(evidence.repeats, too_long=left)
            return evidence._replace(repeats=repeats, long_rows_saved=True)
        return evidence

    @property
    def repeated(self) -> int:
        """Counts the rows that repeat a mail, as the file and employees show."""
        return self.repeats.in_file + self.repeats.held_before + self.saved_by_others

    @property
    def explained(self) -> int:
        """Counts the rows that could not be saved for reasons known here. Mails that employees held before are one only
        where the consumer saves to that table."""
        held = self.repeats.held_before
        return self.repeated + self.repeats.too_long - (0 if self.growth_fits else held)


def needs_repeats(counts: Counts, session: SessionView, grown: int | None = None, proof: Proof = NO_PROOF) -> bool:
    """Tells whether a second pass over the file may show why rows are unsaved, or whose rows employees gained.

    Duplicates that the consumer tells are its word alone: the pass shows whether there are so many. It is also needed
    for what sessions before made up for, and where others than this session may have saved meanwhile.
    """
    received, saved, duplicates = session.received, session.saved, session.duplicates
    if not proof.countable or received is None or saved is None:
        return False
    if proof.earlier or (proof.resumed and grown != saved):
        return True
    if duplicates is None:
        return saved < received
    rows = proof.rows(counts)
    return duplicates > 0 and (duplicates > max(0, received - rows) or saved < rows)
