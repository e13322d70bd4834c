"""Counts → kept, broken or unknown, with the reasons in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from promise_pub.delivery.evidence.proof import NO_PROOF, Evidence, Proof
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.parameters.columns import NAME_AND_MAIL
from promise_pub.records import MAX_EMPLOYEE_TEXT, Counts, Repeats, SessionView, Verdict
from promise_pub.text import counted

_NAMED = 100  # ranges of missing rows that a sentence names
_MEANWHILE = "another session, or another run, saved the mail meanwhile"
_SHOWN = 30  # characters of a key that a sentence shows; a header may hold any


class Judgement(NamedTuple):
    """The verdict and what it rests on."""

    verdict: Verdict
    explanation: tuple[str, ...]


class _Finding(NamedTuple):
    """One thing seen: how it bears on the verdict, and the sentence that says so."""

    bears: Verdict
    sentence: str


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
    confirmed = proof.rows(counts)
    evidence = Evidence.of(confirmed, session, repeats, grown, proof)
    findings = [
        *_at_the_broker(counts, returned_rows, nacked_rows),
        *_earlier(evidence),
        *_received(confirmed, session, evidence, proof),
        *_digests(session, proof),
        *_saved(confirmed, session, evidence, proven=proof.equal(session)),
        *_unread(confirmed, session, evidence),
        *_in_the_table(session.saved, evidence),
    ]
    bearings = {finding.bears for finding in findings}
    verdict = next(v for v in (Verdict.BROKEN, Verdict.UNKNOWN, Verdict.KEPT) if v in bearings | {Verdict.KEPT})
    return Judgement(verdict, tuple(finding.sentence for finding in findings))


def _at_the_broker(counts: Counts, returned_rows: str, nacked_rows: str) -> Iterator[_Finding]:
    if counts.returned:
        yield _Finding(
            Verdict.BROKEN,
            f"{_rows(counts.returned)} came back from the broker, which had no queue for them: {returned_rows}",
        )
    if counts.nacked:
        yield _Finding(Verdict.BROKEN, f"{_were(counts.nacked)} refused by the broker: {nacked_rows}")
    unsettled = counts.accepted - counts.confirmed - counts.returned - counts.nacked
    if unsettled > 0:
        yield _Finding(Verdict.BROKEN, f"{_were(unsettled)} never confirmed by the broker")
    elif unsettled < 0:
        yield _Finding(Verdict.BROKEN, f"the broker settled {_rows(-unsettled)} more than there are to publish")


def _earlier(evidence: Evidence) -> Iterator[_Finding]:
    """Tells what is taken from sessions that ended before, and holds their word against the table as well."""
    countable, gone = evidence.proof.countable, evidence.repeats.gone
    for one in evidence.proof.earlier:
        told = one.session
        if one.last < one.first:
            yield _Finding(
                Verdict.KEPT,
                f"the session {told.uuid} ended before it told of a row that it was done with",
            )
            continue
        known = f"{told.saved or 0:,} saved"
        if told.duplicates is not None:
            known += f", {told.duplicates:,} that were there already, {told.invalid or 0:,} not usable"
        sentence = f"rows {one.first:,} to {one.last:,} are taken from what the session {told.uuid} told before it ended: {known}"
        if countable:
            yield _Finding(Verdict.KEPT, sentence)
        else:
            yield _Finding(Verdict.UNKNOWN, f"{sentence}; without a mail that cannot be checked")
        yield from _unusable(told.invalid or 0, evidence)
    if gone:
        yield _Finding(
            Verdict.UNKNOWN,
            f"employees lacks {_mails(gone)} that sessions told to be done with before they ended: "
            "either they save elsewhere, or it was not committed, or somebody deleted it",
        )


def _received(confirmed: int, session: SessionView, evidence: Evidence, proof: Proof) -> Iterator[_Finding]:
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
        yield _Finding(Verdict.BROKEN, f"{_were(confirmed - received)} confirmed and never received")
    elif received > confirmed:
        yield _more(received - confirmed, confirmed, session, evidence, proof)


def _missing(session: SessionView, proof: Proof) -> RowRanges | None:
    """The rows that were confirmed and are not among those the consumer tells."""
    if session.rows is None or proof.confirmed is None:
        return None
    return proof.confirmed.without(RowRanges.parse(session.rows))


def _more(more: int, confirmed: int, session: SessionView, evidence: Evidence, proof: Proof) -> _Finding:
    """More messages than rows: harmless where something else than their number proves every row."""
    if proof.equal(session):
        return _Finding(Verdict.KEPT, _received_again(more))
    if session.duplicates is None and proof.again:
        if (session.saved or 0) + evidence.explained == confirmed:
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


def _saved(confirmed: int, session: SessionView, evidence: Evidence, *, proven: bool) -> Iterator[_Finding]:
    received, saved, invalid = session.received, session.saved, session.invalid or 0
    if saved is None:
        yield _Finding(Verdict.UNKNOWN, "the consumer does not tell how many rows it saved")
    if received is None or saved is None:
        yield from _unusable(invalid, evidence)
    elif saved > received:
        yield _Finding(Verdict.BROKEN, f"the consumer says it saved {saved - received:,} more than it received")
    elif confirmed < saved:
        yield _Finding(
            Verdict.UNKNOWN,
            f"the consumer says it saved {_rows(saved)} where {confirmed:,} were sent: it saved some twice, or its "
            "count is wrong",
        )
    elif session.duplicates is None:
        unsaved = max(0, min(received, confirmed) - saved)
        if unsaved or invalid:
            yield from _counted(unsaved, invalid, evidence)
    elif received <= confirmed:
        yield from _told(received - saved, session.duplicates, invalid, evidence)
    elif proven:
        duplicates = session.duplicates - (received - confirmed)
        yield from _told(confirmed - saved, duplicates, invalid, evidence)
    else:
        yield from _told_again(confirmed, received, saved, session, evidence)


def _told_again(
    confirmed: int, received: int, saved: int, session: SessionView, evidence: Evidence
) -> Iterator[_Finding]:
    """Judges more messages than rows, without a digest: what the consumer tells of messages must add up, and of rows what
    is counted here."""
    invalid = session.invalid or 0
    yield from _rest(received - saved, (session.duplicates or 0) + invalid)
    unusable = min(invalid, max(0, confirmed - saved - evidence.repeated))
    if invalid and not unusable:
        yield _Finding(
            Verdict.UNKNOWN,
            f"the consumer could not use {invalid:,} messages, and which of them it received again it does not tell",
        )
    if saved < confirmed:
        yield from _counted(confirmed - saved, unusable, evidence)


def _told(unsaved: int, duplicates: int, invalid: int, evidence: Evidence) -> Iterator[_Finding]:
    """The consumer tells its duplicates: they and the rows it could not use must make up what it did not save."""
    if duplicates > 0:
        yield _repeats_told(duplicates, evidence)
    yield from _unusable(invalid, evidence)
    yield from _rest(unsaved, duplicates + invalid)


def _repeats_told(duplicates: int, evidence: Evidence) -> _Finding:
    """Holds what the consumer tells against what the file and employees show.

    What they do not show is unknown, not broken: a consumer may take mails for one that differ here, in capitals or
    blanks, and then it tells the truth and has lost nothing. That it does is a guess all the same, so it is not kept.
    Of a consumer that does not tell, such rows are `_rest`: they look like rows that it lost.
    """
    repeats = evidence.repeats
    in_file, held = (f"{n:,}" if n else "none" for n in (repeats.in_file, repeats.held_before))
    others = f"; {_rows(evidence.saved_by_others)}: {_MEANWHILE}" if evidence.saved_by_others else ""
    if not evidence.proof.countable:
        return _Finding(
            Verdict.UNKNOWN,
            f"{_were(duplicates)} there before, as the consumer tells, and rows without a mail cannot be counted as "
            f"repeats{_keys(evidence.proof.columns)}",
        )
    if duplicates <= evidence.repeated:
        return _Finding(Verdict.KEPT, _repeat_a_mail(duplicates))
    return _Finding(
        Verdict.UNKNOWN,
        f"the consumer says that {_repeat_a_mail(duplicates)}, but the file repeats {in_file}, and employees held {held} "
        f"of them before the run{others}",
    )


def _counted(unsaved: int, invalid: int, evidence: Evidence) -> Iterator[_Finding]:
    """The consumer does not tell: what the file and the employees table prove must make up what it did not save."""
    repeats = evidence.repeats
    explained = max(invalid, repeats.too_long) + repeats.in_file + evidence.saved_by_others
    if repeats.in_file:
        yield _Finding(Verdict.KEPT, _repeat_a_mail(repeats.in_file))
    if evidence.saved_by_others:
        yield _Finding(Verdict.KEPT, f"{_rows(evidence.saved_by_others)}: {_MEANWHILE}")
    if held := repeats.held_before:
        saves_here = bool(evidence.growth_fits and evidence.grown)
        may_save_here = evidence.growth_fits and unsaved != explained  # more is left to explain
        comes_out = unsaved == explained + held  # whatever it saved, and wherever
        if saves_here or may_save_here or comes_out:
            explained += held
            yield _Finding(Verdict.KEPT, f"{_rows(held)}: employees held the mail before the run")
    if repeats.too_long:
        long_rows = f"{_rows(repeats.too_long)}: longer than the {MAX_EMPLOYEE_TEXT} characters that employees holds"
        if evidence.long_rows_saved:
            yield _Finding(Verdict.UNKNOWN, f"{long_rows}, as are others that were saved: a mail may repeat")
        else:
            yield _Finding(Verdict.BROKEN, long_rows)
    yield from _unusable(invalid, evidence)
    if evidence.proof.countable or unsaved <= explained:
        yield from _rest(unsaved, explained)
    else:
        yield _Finding(
            Verdict.UNKNOWN,
            f"{_were(unsaved - explained)} received and not saved, and rows without a mail cannot be counted as "
            f"repeats{_keys(evidence.proof.columns)}",
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


def _in_the_table(saved: int | None, evidence: Evidence) -> Iterator[_Finding]:
    """A table that did not grow by what the consumer says it saved contradicts it."""
    grown = evidence.grown
    if saved is None or grown is None or evidence.growth_fits:
        return
    if grown == 0:
        seen = "did not grow: either it saves elsewhere, or nothing was committed"
    elif grown < 0:
        seen = f"shrank by {_rows(-grown)}: somebody else deletes from it"
    elif grown < saved:
        seen = f"grew by {grown:,} meanwhile: the others are elsewhere, not committed, or deleted again"
    else:
        seen = f"grew by {grown:,} meanwhile: either somebody else saves to it, or the consumer's count is wrong"
    yield _Finding(Verdict.UNKNOWN, f"the consumer says it saved {_rows(saved)}, and employees {seen}")


def _unread(confirmed: int, session: SessionView, evidence: Evidence) -> Iterator[_Finding]:
    """A row that was saved without a mail may be an empty one, of a consumer that found nothing of what it reads."""
    proof = evidence.proof
    if confirmed and session.saved == confirmed and not proof.countable and session.digest is None:
        yield _Finding(
            Verdict.UNKNOWN,
            f"nothing shows that the consumer read the columns of these rows{_keys(proof.columns)}",
        )


def _unusable(invalid: int, evidence: Evidence) -> Iterator[_Finding]:
    if invalid:
        yield _Finding(
            Verdict.BROKEN,
            f"{_were(invalid)} received, but not usable for the consumer{_keys(evidence.proof.columns)}",
        )


def _keys(columns: Sequence[str]) -> str:
    """Says which keys the consumer looks for in vain, and what stands there that looks like them."""
    lacking = [key for key in NAME_AND_MAIL if key not in columns]
    if not lacking:
        return ""
    alike = {"".join(filter(str.isalnum, column)).casefold(): column for column in columns}
    said = [f"{alike[key][:_SHOWN]!r} is not '{key}'" if key in alike else f"there is no '{key}'" for key in lacking]
    return f": it reads 'name' and 'mail', and {' and '.join(said)}"


def _repeat_a_mail(count: int) -> str:
    verb = "repeats" if count == 1 else "repeat"
    return f"{_rows(count)} {verb} a mail that was saved before"


def _received_again(more: int) -> str:
    return f"{_were(more)} received again after being received once"


def _rows(count: int) -> str:
    return counted(count, "row")


def _were(count: int) -> str:
    return f"{_rows(count)} {'was' if count == 1 else 'were'}"


def _mails(count: int) -> str:
    return counted(count, "mail")
