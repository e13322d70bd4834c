"""Counts → kept, broken or unknown, with the reasons in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from promise_pub.delivery.ranges import RowRanges
from promise_pub.records import Counts, EarlierSession, Repeats, SessionView, Verdict

_NAMED = 100  # ranges of missing rows that a sentence names


class Judgement(NamedTuple):
    """The verdict and what it rests on."""

    verdict: Verdict
    explanation: tuple[str, ...]


class Proof(NamedTuple):
    """What is known besides the counts.

    `confirmed`: the session's rows that the broker confirmed; None: all of the run's. `earlier`: sessions that made up
    for the rows before. `digest`: of the session's accepted rows, None where some of them were lost at the broker.
    `again`: some of them were sent more than once. `countable`: rows have a mail whose repeats can be counted.
    """

    confirmed: RowRanges | None = None
    earlier: tuple[EarlierSession, ...] = ()
    digest: str | None = None
    again: bool = False
    countable: bool = True

    def equal(self, session: SessionView) -> bool:
        """Whether the consumer received every row of the session as it was published, and no other."""
        return self.digest is not None and self.digest == session.digest


NO_PROOF = Proof()


class _Finding(NamedTuple):
    """One thing seen: how it bears on the verdict, and the sentence that says so."""

    bears: Verdict
    sentence: str


class _Evidence(NamedTuple):
    """What this side counted, if that is `countable`: rows that could not be saved, and by how many rows the employees
    table grew."""

    repeats: Repeats
    grown: int | None
    countable: bool

    def held_here(self, saved: int) -> bool:
        """Whether mails that employees held explain anything: only if the consumer saves to that table.

        It does if the table grew by what it says it saved, and, as far as anybody knows, if nobody counted.
        """
        return self.grown in (None, saved)

    def explained(self, saved: int | None) -> int:
        """Rows that could not be saved, for reasons counted here."""
        repeats = self.repeats
        held = repeats.held_before if saved is not None and self.held_here(saved) else 0
        return repeats.in_file + repeats.too_long + held


def needs_repeats(counts: Counts, session: SessionView, proof: Proof = NO_PROOF) -> bool:
    """Whether rows are unsaved and the consumer does not say why: a second pass over the file may explain them.

    Duplicates that it tells say why, unless it received messages twice: then they may hide a row that never came,
    where no digest proves that it did.
    """
    if session.received is None or session.saved is None:
        return False
    if session.duplicates is None:
        return session.saved < session.received
    return session.saved < _confirmed(counts, proof) < session.received and not proof.equal(session)


def judge(
    counts: Counts,
    returned_rows: str,
    nacked_rows: str,
    session: SessionView,
    repeats: Repeats | None,
    grown: int | None = None,
    proof: Proof = NO_PROOF,
) -> Judgement:
    """The verdict on a run that ended by itself. `grown` is how many rows the employees table gained meanwhile.

    Kept only where every accepted row is confirmed, received, and saved or explained; never on a guess. `session`,
    `repeats` and `grown` are of the last session, and so is what `proof` knows; for the rows before, what the earlier
    sessions told of them stands.
    """
    confirmed = _confirmed(counts, proof)
    evidence = _Evidence(repeats or Repeats(), grown, proof.countable)
    findings = [
        *_at_the_broker(counts, returned_rows, nacked_rows),
        *_earlier(proof.earlier),
        *_received(confirmed, session, evidence, proof),
        *_digests(session, proof),
        *_saved(confirmed, session, evidence, proven=proof.equal(session)),
        *_in_the_table(session.saved, grown),
    ]
    bearings = {finding.bears for finding in findings}
    verdict = next(
        v for v in (Verdict.BROKEN, Verdict.UNKNOWN, Verdict.KEPT) if v in bearings | {Verdict.KEPT}
    )
    return Judgement(verdict, tuple(finding.sentence for finding in findings))


def _confirmed(counts: Counts, proof: Proof) -> int:
    """How many rows of the session the broker confirmed."""
    return counts.confirmed if proof.confirmed is None else len(proof.confirmed)


def _at_the_broker(counts: Counts, returned_rows: str, nacked_rows: str) -> Iterator[_Finding]:
    if counts.returned:
        yield _Finding(
            Verdict.BROKEN,
            f"{_rows(counts.returned)} came back from the broker, which had no queue for them: {returned_rows}",
        )
    if counts.nacked:
        yield _Finding(
            Verdict.BROKEN, f"{_were(counts.nacked)} refused by the broker: {nacked_rows}"
        )
    unsettled = counts.accepted - counts.confirmed - counts.returned - counts.nacked
    if unsettled > 0:
        yield _Finding(Verdict.BROKEN, f"{_were(unsettled)} never confirmed by the broker")
    elif unsettled < 0:
        yield _Finding(
            Verdict.BROKEN, f"the broker settled {_rows(-unsettled)} more than there are to publish"
        )


def _earlier(sessions: tuple[EarlierSession, ...]) -> Iterator[_Finding]:
    for one in sessions:
        told = one.session
        if one.last < one.first:
            sentence = (
                f"the session {told.uuid} ended before it told of a row that it was done with"
            )
        else:
            known = f"{told.saved or 0:,} saved"
            if told.duplicates is not None:
                known += f", {told.duplicates:,} that were there already, {told.invalid or 0:,} not usable"
            sentence = f"rows {one.first:,} to {one.last:,} are taken from what the session {told.uuid} told before it ended: {known}"
        yield _Finding(Verdict.KEPT, sentence)


def _received(
    confirmed: int, session: SessionView, evidence: _Evidence, proof: Proof
) -> Iterator[_Finding]:
    received = session.received
    if received is None:
        yield _Finding(
            Verdict.UNKNOWN,
            f"the consumer does not tell how many rows it received: all that is proven is that {_were(confirmed)} confirmed",
        )
    elif missing := _missing(session, proof):
        yield _Finding(
            Verdict.BROKEN,
            f"{_were(len(missing))} confirmed and never received: {missing.shortened(_NAMED)}",
        )
    elif received < confirmed:
        yield _Finding(
            Verdict.BROKEN, f"{_were(confirmed - received)} confirmed and never received"
        )
    elif received > confirmed:
        yield _more(received - confirmed, confirmed, session, evidence, proof)


def _missing(session: SessionView, proof: Proof) -> RowRanges | None:
    """The rows that were confirmed and are not among those the consumer tells."""
    if session.rows is None or proof.confirmed is None:
        return None
    return proof.confirmed.without(RowRanges.parse(session.rows))


def _more(
    more: int, confirmed: int, session: SessionView, evidence: _Evidence, proof: Proof
) -> _Finding:
    """More messages than rows: harmless where something else than their number proves every row."""
    if proof.equal(session):
        return _Finding(Verdict.KEPT, _received_again(more))
    if session.duplicates is None and proof.again:
        if (session.saved or 0) + evidence.explained(session.saved) == confirmed:
            return _Finding(Verdict.KEPT, _received_again(more))
    elif (session.duplicates or 0) >= more:
        return _Finding(Verdict.KEPT, _received_again(more))
    return _Finding(
        Verdict.UNKNOWN,
        f"the consumer received {more:,} more than was confirmed, so its count does not prove every row",
    )


def _digests(session: SessionView, proof: Proof) -> Iterator[_Finding]:
    if session.received is None or proof.digest is None:
        return
    if session.digest is None:
        yield _Finding(
            Verdict.KEPT,
            "the consumer tells no digest of what it received: this rests on its counts",
        )
    elif session.digest != proof.digest:
        yield _Finding(
            Verdict.BROKEN,
            "what the consumer received is not what was published: the digests of the two differ",
        )


def _saved(
    confirmed: int, session: SessionView, evidence: _Evidence, *, proven: bool
) -> Iterator[_Finding]:
    received, saved, invalid = session.received, session.saved, session.invalid or 0
    if saved is None:
        yield _Finding(Verdict.UNKNOWN, "the consumer does not tell how many rows it saved")
    if received is None or saved is None:
        return
    if saved > received:
        yield _Finding(
            Verdict.BROKEN, f"the consumer says it saved {saved - received:,} more than it received"
        )
    elif session.duplicates is None:
        unsaved = max(0, min(received, confirmed) - saved)
        if unsaved or invalid:
            yield from _counted(unsaved, saved, invalid, evidence)
    elif received <= confirmed:
        yield from _told(received - saved, session.duplicates, invalid, evidence)
    elif proven:
        duplicates = session.duplicates - (received - confirmed)
        yield from _told(confirmed - saved, duplicates, invalid, evidence)
    else:
        yield from _rest(received - saved, session.duplicates + invalid)
        if invalid:
            yield _Finding(
                Verdict.UNKNOWN,
                f"the consumer could not use {invalid:,} messages, and which of them it received again it does not tell",
            )
        elif saved < confirmed:
            yield from _counted(confirmed - saved, saved, invalid, evidence)


def _told(unsaved: int, duplicates: int, invalid: int, evidence: _Evidence) -> Iterator[_Finding]:
    """The consumer tells its duplicates: they and the rows it could not use must make up what it did not save."""
    if duplicates:
        there = f"{_were(duplicates)} there before, as the consumer tells"
        yield _Finding(Verdict.KEPT, _repeat_a_mail(duplicates) if evidence.countable else there)
    yield from _unusable(invalid)
    yield from _rest(unsaved, duplicates + invalid)


def _counted(unsaved: int, saved: int, invalid: int, evidence: _Evidence) -> Iterator[_Finding]:
    """The consumer does not tell: what the file and the employees table prove must make up what it did not save."""
    repeats = evidence.repeats
    explained = invalid + repeats.too_long + repeats.in_file
    if repeats.in_file:
        yield _Finding(Verdict.KEPT, _repeat_a_mail(repeats.in_file))
    if (
        repeats.held_before
        and evidence.held_here(saved)
        and (evidence.grown or unsaved != explained)
    ):
        explained += repeats.held_before
        yield _Finding(Verdict.KEPT, _held_before(repeats.held_before))
    elif repeats.held_before and unsaved == explained + repeats.held_before:
        explained = unsaved
        yield _Finding(
            Verdict.UNKNOWN,
            f"{_held_before(repeats.held_before)}, but it grew by {evidence.grown:,} while the consumer says it "
            f"saved {saved:,}, so it may not be the table that the consumer saves to",
        )
    if repeats.too_long:
        yield _Finding(
            Verdict.KEPT,
            f"{_rows(repeats.too_long)}: longer than the 127 characters that employees holds",
        )
    yield from _unusable(invalid)
    if evidence.countable or unsaved <= explained:
        yield from _rest(unsaved, explained)
    else:
        yield _Finding(
            Verdict.UNKNOWN,
            f"{_were(unsaved - explained)} received and not saved, and rows without a mail cannot be counted as repeats",
        )


def _rest(unsaved: int, explained: int) -> Iterator[_Finding]:
    if unsaved > explained:
        yield _Finding(
            Verdict.BROKEN,
            f"{_were(unsaved)} received and not saved, and nothing explains {unsaved - explained:,} of them",
        )
    elif unsaved < explained:
        yield _Finding(
            Verdict.BROKEN,
            f"the consumer left out {_rows(unsaved)} where {explained:,} could not be saved: its counts contradict each other",
        )


def _in_the_table(saved: int | None, grown: int | None) -> Iterator[_Finding]:
    """A table that did not grow at all is another one. One that grew by less contradicts the consumer."""
    if saved is not None and grown is not None and 0 < grown < saved:
        yield _Finding(
            Verdict.UNKNOWN,
            f"the consumer says it saved {_rows(saved)}, and employees grew by {grown:,} meanwhile",
        )


def _held_before(count: int) -> str:
    return f"{_rows(count)}: employees held the mail before the run"


def _unusable(invalid: int) -> Iterator[_Finding]:
    if invalid:
        yield _Finding(Verdict.KEPT, f"{_were(invalid)} received, but not usable for the consumer")


def _repeat_a_mail(count: int) -> str:
    verb = "repeats" if count == 1 else "repeat"
    return f"{_rows(count)} {verb} a mail that was saved before"


def _received_again(more: int) -> str:
    return f"{_were(more)} received again after being received once"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _were(count: int) -> str:
    return f"{_rows(count)} {'was' if count == 1 else 'were'}"
