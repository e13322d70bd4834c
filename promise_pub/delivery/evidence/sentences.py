"""The sentence of each finding: what people read of a verdict's reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from promise_pub.records import MAX_EMPLOYEE_TEXT, Finding, Verdict
from promise_pub.records import FindingKind as Kind
from promise_pub.text import counted

_MEANWHILE = "another session, or another run, saved the mail meanwhile"
_UNCOUNTABLE = "rows without a mail cannot be counted as repeats{keys}"


def _earlier_session(finding: Finding) -> str:
    facts = finding.facts
    known = f"{facts['saved']:,} saved"
    if facts["duplicates"] is not None:
        known += f", {facts['duplicates']:,} already there, {facts['invalid']:,} not usable"
    sentence = (
        f"rows {facts['first']:,} to {facts['last']:,} rest on what the session {facts['uuid']} reported before it "
        f"ended: {known}"
    )
    return sentence if finding.verdict is Verdict.KEPT else f"{sentence}; without a mail that cannot be checked"


def _not_saved(finding: Finding) -> str:
    rows, unexplained = _rows(finding.rows or 0), finding.facts["unexplained"]
    if unexplained == finding.rows:
        return (
            f"the consumer received {rows} and did not save {'it' if unexplained == 1 else 'them'}, for no known reason"
        )
    return f"the consumer did not save {rows} that it received, {unexplained:,} of them for no known reason"


def _too_long(finding: Finding) -> str:
    sentence = f"{_rows(finding.rows or 0)}: longer than the {MAX_EMPLOYEE_TEXT} characters that employees holds"
    if finding.verdict is Verdict.BROKEN:
        return sentence
    return f"{sentence}, as are others that were saved: a mail may repeat"


def _table_differs(finding: Finding) -> str:
    saved, grown = finding.rows or 0, finding.facts["grown"]
    if lacking := finding.facts.get("lacking"):
        seen = f"lacks the mails of {lacking:,} of them: others took their place"
    elif grown == 0:
        seen = "did not grow: either it saves elsewhere, or nothing was committed"
    elif grown < 0:
        seen = f"shrank by {_rows(-grown)}: somebody else deletes from it"
    elif grown < saved:
        seen = f"grew by {grown:,} meanwhile: the others are elsewhere, not committed, or deleted again"
    else:
        seen = f"grew by {grown:,} meanwhile: either somebody else saves to it, or the consumer's count is wrong"
    return f"the consumer says it saved {_rows(saved)}, and employees {seen}"


def _table_changed(finding: Finding) -> str:
    saved, grown = finding.rows or 0, finding.facts["grown"]
    if grown <= 0:
        seen = f"shrank by {_rows(-grown)}" if grown else "did not grow"
        return f"employees holds the {_rows(saved)} that the consumer saved, and {seen}: somebody else deletes from it"
    acts = "deletes from it" if grown < saved else "saves to it"
    return f"employees holds the {_rows(saved)} that the consumer saved, and grew by {grown:,}: somebody else {acts}"


def _session_not_removed(finding: Finding) -> str:
    uuids = finding.facts["uuids"]
    return f"the consumer did not say that it removed the {'session' if len(uuids) == 1 else 'sessions'} {', '.join(uuids)}"


# `{count}` is the number of rows, `{rows}` is "1 row" or "2 rows", `{were}` and `{repeat}` agree with it, `{mails}` counts mails.
# `{list}` are row numbers, `{keys}` the keys that the consumer looks for in vain, `{others}` rows that others saved;
# everything else is a fact of the finding. Where the words depend on more, a function makes them.
_SENTENCES: Mapping[Kind, str | Callable[[Finding], str]] = {
    Kind.RETURNED: "{rows} came back from the broker, which had no queue for them{list}",
    Kind.NACKED: "{were} refused by the broker{list}",
    Kind.UNCONFIRMED: "{were} never confirmed by the broker",
    Kind.EXTRA_CONFIRMS: "the broker settled {rows} more than were to be published",
    Kind.EARLIER_SESSION_EMPTY: "the session {uuid} ended before it reported any row as done",
    Kind.RECEIVED_NOT_REPORTED: "the consumer does not report how many rows it received: it is only proven that {were} "
    "confirmed",
    Kind.MAILS_GONE: "employees lacks {mails} that earlier sessions reported as done: they save elsewhere, did not commit, or "
    "somebody deleted them",
    Kind.NOT_RECEIVED: "{were} confirmed and never received{list}",
    Kind.RECEIVED_AGAIN: "{were} received more than once",
    Kind.RECEIVED_TOO_MANY: "the consumer received {count} more than were confirmed, so its count does not prove every row",
    Kind.NO_DIGEST: "checked by counts only: this consumer reports no digest",
    Kind.DIGEST_DIFFERS: "what the consumer received is not what was published: their digests differ",
    Kind.SAVED_NOT_REPORTED: "the consumer does not report how many rows it saved",
    Kind.SAVED_MORE_THAN_RECEIVED: "the consumer says it saved {rows} more than it received",
    Kind.SAVED_MORE_THAN_SENT: "the consumer says it saved {rows} where {confirmed} were sent: it saved some twice, or its "
    "count is wrong",
    Kind.NOT_USABLE: "{were} received, but of no use to the consumer{keys}",
    Kind.NOT_USABLE_AGAIN: "the consumer could not use {count} messages, and does not report which of them it received "
    "before",
    Kind.DUPLICATE: "{rows} {repeat} a mail that was saved before",
    Kind.DUPLICATES_UNPROVEN: "the consumer says that {rows} {repeat} a mail that was saved before, but the file repeats "
    "{in_file}, and employees held {held_before} of them before the run{others}",
    Kind.DUPLICATES_UNCOUNTABLE: "{were} already there, as the consumer reports, and " + _UNCOUNTABLE,
    Kind.SAVED_BY_OTHERS: "{rows}: " + _MEANWHILE,
    Kind.HELD_BEFORE: "{rows}: employees held the mail before the run",
    Kind.NOT_SAVED_UNCOUNTABLE: "{were} received and not saved, and " + _UNCOUNTABLE,
    Kind.COUNTS_CONTRADICT: "the consumer left out {rows} where {explained} could not be saved: its counts contradict each "
    "other",
    Kind.COLUMNS_NOT_PROVEN: "nothing shows that the consumer read the columns of these rows{keys}",
    Kind.SESSION_NOT_NAMED: "the consumer was asked for a session and named none: it may have created one nevertheless",
    Kind.EARLIER_SESSION: _earlier_session,
    Kind.TOO_LONG: _too_long,
    Kind.NOT_SAVED: _not_saved,
    Kind.TABLE_DIFFERS: _table_differs,
    Kind.TABLE_CHANGED: _table_changed,
    Kind.SESSION_NOT_REMOVED: _session_not_removed,
}


def explain(finding: Finding) -> str:
    """Returns the sentence of a finding, without a full stop."""
    sentence, count, facts = _SENTENCES[finding.kind], finding.rows or 0, finding.facts
    if callable(sentence):
        return sentence(finding)
    return sentence.format(
        count=f"{count:,}",
        rows=_rows(count),
        were=f"{_rows(count)} {'was' if count == 1 else 'were'}",
        repeat="repeats" if count == 1 else "repeat",
        mails="1 mail" if count == 1 else f"{count:,} mails",
        list=f": {facts['numbers']}" if facts.get("numbers") else "",
        keys=_keys(facts.get("lacking", {})),
        others=f"; {_rows(facts['by_others'])}: {_MEANWHILE}" if facts.get("by_others") else "",
        **{name: _counted(value) for name, value in facts.items()},
    )


def _counted(value: Any) -> Any:
    if not isinstance(value, int):
        return value
    return f"{value:,}" if value else "none"


def _rows(count: int) -> str:
    return counted(count, "row")


def _keys(lacking: Mapping[str, Any]) -> str:
    """Names the keys that the consumer looks for in vain, and the columns that look like them."""
    if not lacking:
        return ""
    said = [f"{alike!r} is not '{key}'" if alike else f"there is no '{key}'" for key, alike in lacking.items()]
    return f": it reads 'name' and 'mail', and {' and '.join(said)}"
