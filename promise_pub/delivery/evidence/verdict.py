"""The rules of the verdict: counts and evidence → kept, broken or unknown, and the findings that it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from promise_pub.delivery.evidence.proof import NO_PROOF, Evidence, Proof
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.delivery.evidence.sentences import explain
from promise_pub.parameters.columns import NAME_AND_MAIL
from promise_pub.records import Counts, Finding, Repeats, SessionView, Verdict
from promise_pub.records import FindingKind as Kind

_MAX_RANGES = 100  # ranges of missing rows that a finding names
_WEIGHTS = (Verdict.BROKEN, Verdict.UNKNOWN, Verdict.KEPT)
_MAX_KEY = 30  # characters of a column's name that a finding shows; a header may hold any


class Judgement(NamedTuple):
    """The verdict and what it rests on."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    """Findings by weight: those that break the promise, then the unknown ones, then those that explain."""

    @property
    def explanation(self) -> tuple[str, ...]:
        return tuple(map(explain, self.findings))


def judge(
    counts: Counts,
    returned_rows: str,
    nacked_rows: str,
    session: SessionView,
    repeats: Repeats | None,
    grown: int | None = None,
    proof: Proof = NO_PROOF,
) -> Judgement:
    """Returns the verdict on a run that ended by itself. `grown` is how many rows the employees table gained meanwhile.

    Kept only where every accepted row is confirmed, received, and saved or explained; never on a guess. `session`,
    `repeats` and `grown` are of the last session, and so is what `proof` knows; for the rows before, what the earlier
    sessions reported of them stands.
    """
    confirmed = proof.rows(counts)
    evidence = Evidence.of(confirmed, session, repeats, grown, proof)
    findings = (
        *_at_the_broker(counts, returned_rows, nacked_rows),
        *_earlier(evidence),
        *_received(confirmed, session, evidence, proof),
        *_digests(session, proof),
        *_saved(confirmed, session, evidence, proven=proof.equal(session)),
        *_unread(confirmed, session, evidence),
        *_in_the_table(session.saved, evidence),
    )
    by_weight = sort_by_weight(findings)
    return Judgement(by_weight[0].verdict if by_weight else Verdict.KEPT, by_weight)


def sort_by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns findings in the order in which every face shows them; those of one weight stay as they are."""
    return tuple(sorted(findings, key=lambda finding: _WEIGHTS.index(finding.verdict)))


def _kept(kind: Kind, rows: int | None = None, **facts: Any) -> Finding:
    return Finding(kind, Verdict.KEPT, rows, facts)


def _unknown(kind: Kind, rows: int | None = None, **facts: Any) -> Finding:
    return Finding(kind, Verdict.UNKNOWN, rows, facts)


def _broken(kind: Kind, rows: int | None = None, **facts: Any) -> Finding:
    return Finding(kind, Verdict.BROKEN, rows, facts)


def _at_the_broker(counts: Counts, returned_rows: str, nacked_rows: str) -> Iterator[Finding]:
    if counts.returned:
        yield _broken(Kind.RETURNED, counts.returned, numbers=returned_rows)
    if counts.nacked:
        yield _broken(Kind.NACKED, counts.nacked, numbers=nacked_rows)
    unsettled = counts.accepted - counts.confirmed - counts.returned - counts.nacked
    if unsettled > 0:
        yield _broken(Kind.UNCONFIRMED, unsettled)
    elif unsettled < 0:
        yield _broken(Kind.EXTRA_CONFIRMS, -unsettled)


def _earlier(evidence: Evidence) -> Iterator[Finding]:
    """Yields what is taken from sessions that ended before, and holds their reports against the table as well."""
    checkable = Verdict.KEPT if evidence.proof.countable else Verdict.UNKNOWN
    for one in evidence.proof.earlier:
        totals = one.totals
        if totals is None:
            yield _kept(Kind.EARLIER_SESSION_EMPTY, uuid=one.session.uuid)
            continue
        facts = {
            "uuid": one.session.uuid,
            "first": one.first,
            "last": one.last,
            "saved": totals.saved or 0,
            "duplicates": totals.repeats,
            "invalid": totals.unusable or 0,
        }
        yield Finding(Kind.EARLIER_SESSION, checkable, totals.received, facts)
        yield from _not_usable(totals.unusable or 0, evidence)
    if gone := evidence.repeats.gone:
        yield _unknown(Kind.MAILS_GONE, gone)


def _received(confirmed: int, session: SessionView, evidence: Evidence, proof: Proof) -> Iterator[Finding]:
    received = session.received
    if received is None:
        yield _unknown(Kind.RECEIVED_NOT_REPORTED, confirmed)
    elif missing := _missing(session, proof):
        yield _broken(Kind.NOT_RECEIVED, len(missing), numbers=missing.shortened(_MAX_RANGES))
    elif received < confirmed:
        yield _broken(Kind.NOT_RECEIVED, confirmed - received)
    elif received > confirmed:
        yield _more(received - confirmed, confirmed, session, evidence, proof)


def _missing(session: SessionView, proof: Proof) -> RowRanges | None:
    """Returns the confirmed rows that are not among those the consumer lists; None where it lists none."""
    if session.rows is None or proof.confirmed is None:
        return None
    return proof.confirmed.without(RowRanges.parse(session.rows))


def _more(more: int, confirmed: int, session: SessionView, evidence: Evidence, proof: Proof) -> Finding:
    """Judges more messages than rows: harmless where something else than their number proves every row."""
    if session.duplicates is None:
        proven = proof.again and (session.saved or 0) + evidence.explained == confirmed
    else:
        proven = session.duplicates >= more
    if proof.equal(session) or proven:
        return _kept(Kind.RECEIVED_AGAIN, more)
    return _unknown(Kind.RECEIVED_TOO_MANY, more)


def _digests(session: SessionView, proof: Proof) -> Iterator[Finding]:
    if session.received is None or proof.digest is None:
        return
    if session.digest is None:
        yield _kept(Kind.NO_DIGEST)
    elif session.digest != proof.digest:
        yield _broken(Kind.DIGEST_DIFFERS)


def _saved(confirmed: int, session: SessionView, evidence: Evidence, *, proven: bool) -> Iterator[Finding]:
    received, saved, invalid = session.received, session.saved, session.invalid or 0
    if saved is None:
        yield _unknown(Kind.SAVED_NOT_REPORTED)
    if received is None or saved is None:
        yield from _not_usable(invalid, evidence)
    elif saved > received:
        yield _broken(Kind.SAVED_MORE_THAN_RECEIVED, saved - received)
    elif confirmed < saved:
        yield _unknown(Kind.SAVED_MORE_THAN_SENT, saved, confirmed=confirmed)
        yield from _not_usable(invalid, evidence)
    elif session.duplicates is None:
        unsaved = max(0, min(received, confirmed) - saved)
        if unsaved or invalid:
            yield from _counted(unsaved, invalid, evidence)
    elif received <= confirmed:
        yield from _reported(received - saved, session.duplicates, invalid, evidence)
    elif proven:
        duplicates = session.duplicates - (received - confirmed)
        yield from _reported(confirmed - saved, duplicates, invalid, evidence)
    else:
        yield from _reported_again(confirmed, received, saved, session, evidence)


def _reported_again(
    confirmed: int, received: int, saved: int, session: SessionView, evidence: Evidence
) -> Iterator[Finding]:
    """Judges more messages than rows, without a digest: what the consumer reports of messages must add up, and of rows
    what is counted here."""
    invalid = session.invalid or 0
    yield from _rest(received - saved, (session.duplicates or 0) + invalid)
    unusable = min(invalid, max(0, confirmed - saved - evidence.repeated))
    if invalid and not unusable:
        yield _unknown(Kind.NOT_USABLE_AGAIN, invalid)
    if saved < confirmed:
        yield from _counted(confirmed - saved, unusable, evidence)


def _reported(unsaved: int, duplicates: int, invalid: int, evidence: Evidence) -> Iterator[Finding]:
    """Judges a consumer that reports duplicates: they and the rows it could not use must make up what it did not save."""
    if duplicates > 0:
        yield _duplicates(duplicates, evidence)
    yield from _not_usable(invalid, evidence)
    yield from _rest(unsaved, duplicates + invalid)


def _duplicates(duplicates: int, evidence: Evidence) -> Finding:
    """Holds the duplicates that the consumer reports against what the file and employees show.

    Those that they do not show are unknown, not broken: a consumer may take mails for one that differ here, in capitals
    or blanks, and then it reports the truth and has lost nothing. That it does is a guess all the same, so it is not
    kept. Of a consumer that reports no duplicates, such rows are `_rest`: they look like rows that it lost.
    """
    repeats = evidence.repeats
    if not evidence.proof.countable:
        return _unknown(Kind.DUPLICATES_UNCOUNTABLE, duplicates, lacking=_lacking(evidence.proof.columns))
    if duplicates <= evidence.repeated:
        return _kept(Kind.DUPLICATE, duplicates)
    return _unknown(
        Kind.DUPLICATES_UNPROVEN,
        duplicates,
        in_file=repeats.in_file,
        held_before=repeats.held_before,
        by_others=evidence.saved_by_others,
    )


def _counted(unsaved: int, invalid: int, evidence: Evidence) -> Iterator[Finding]:
    """Judges a consumer that reports no duplicates: what the file and the employees table prove must make up what it did
    not save."""
    repeats = evidence.repeats
    explained = max(invalid, repeats.too_long) + repeats.in_file + evidence.saved_by_others
    if repeats.in_file:
        yield _kept(Kind.DUPLICATE, repeats.in_file)
    if evidence.saved_by_others:
        yield _kept(Kind.SAVED_BY_OTHERS, evidence.saved_by_others)
    if held := repeats.held_before:
        saves_here = bool(evidence.growth_fits and evidence.grown)
        may_save_here = evidence.growth_fits and unsaved != explained  # more is left to explain
        comes_out = unsaved == explained + held  # whatever it saved, and wherever
        if saves_here or may_save_here or comes_out:
            explained += held
            yield _kept(Kind.HELD_BEFORE, held)
    if repeats.too_long:
        bears = Verdict.UNKNOWN if evidence.long_rows_saved else Verdict.BROKEN
        yield Finding(Kind.TOO_LONG, bears, repeats.too_long)
    yield from _not_usable(invalid, evidence)
    if evidence.proof.countable or unsaved <= explained:
        yield from _rest(unsaved, explained)
    else:
        lacking = _lacking(evidence.proof.columns)
        yield _unknown(Kind.NOT_SAVED_UNCOUNTABLE, unsaved - explained, lacking=lacking)


def _rest(unsaved: int, explained: int) -> Iterator[Finding]:
    if unsaved > explained:
        yield _broken(Kind.NOT_SAVED, unsaved, unexplained=unsaved - explained)
    elif unsaved < explained:
        yield _broken(Kind.COUNTS_CONTRADICT, unsaved, explained=explained)


def _in_the_table(saved: int | None, evidence: Evidence) -> Iterator[Finding]:
    """Yields a finding where the table did not grow by what the consumer says it saved, and by what others did."""
    if saved is None or evidence.grown is None:
        return
    if not evidence.growth_fits:
        yield _unknown(Kind.TABLE_DIFFERS, saved, grown=evidence.grown)
    elif evidence.lacking:
        yield _unknown(Kind.TABLE_DIFFERS, saved, grown=evidence.grown, lacking=evidence.lacking)
    elif evidence.grown != saved + evidence.saved_by_others:
        yield _kept(Kind.TABLE_CHANGED, saved, grown=evidence.grown)


def _unread(confirmed: int, session: SessionView, evidence: Evidence) -> Iterator[Finding]:
    """Doubts rows that were saved without a mail: they may be empty, of a consumer that found none of the keys it reads."""
    proof = evidence.proof
    if confirmed and session.saved == confirmed and not proof.countable and session.digest is None:
        yield _unknown(Kind.COLUMNS_NOT_PROVEN, confirmed, lacking=_lacking(proof.columns))


def _not_usable(invalid: int, evidence: Evidence) -> Iterator[Finding]:
    if invalid:
        yield _broken(Kind.NOT_USABLE, invalid, lacking=_lacking(evidence.proof.columns))


def _lacking(columns: Sequence[str]) -> dict[str, str | None]:
    """Maps each key that the consumer looks for in vain to the start of the column that looks like it, if one does."""
    alike = {"".join(filter(str.isalnum, column)).casefold(): column[:_MAX_KEY] for column in columns}
    return {key: alike.get(key) for key in NAME_AND_MAIL if key not in columns}
