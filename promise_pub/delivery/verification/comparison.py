"""Compares what a file gives with what a run's report says, in words. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from promise_pub.delivery.evidence.blocks import Blocks
from promise_pub.delivery.input.chunks import Record
from promise_pub.delivery.verification.blocks import Place, Unlike
from promise_pub.delivery.verification.reread import Reread
from promise_pub.records import Row, RunReport, State
from promise_pub.text import counted

_SHOWN = 200  # characters of a record's content


@dataclass(frozen=True, slots=True)
class Check:
    """One value of a report beside the file's; None: the file gives none."""

    name: str
    report: int | str | None
    file: int | str | None

    @property
    def equal(self) -> bool:
        return self.report == self.file


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome: each value, and sentences that say what they prove or where the first difference is."""

    checks: tuple[Check, ...]
    sentences: tuple[str, ...]
    equal: bool


def compare(run: RunReport, found: Reread, blocks: Blocks | None) -> Verification:
    """Compares a file with a report that has a digest. Counts of a run that did not complete are not those of its file."""
    counts = run.counts
    checks = [Check("bytes", run.file.bytes, found.bytes), Check("sha256", run.file.sha256, found.sha256)]
    if run.state is State.COMPLETED:
        checks += [
            Check("read", counts.read, found.read),
            Check("rejected", counts.rejected, found.rejected),
            Check("accepted", counts.accepted, found.accepted),
        ]
    checks.append(Check("digest", run.digest, found.digest))
    equal = all(one.equal for one in checks) and not found.header_fault
    sentences = _prove(run, found) if equal else _differ(run, found, checks, blocks)
    return Verification(tuple(checks), tuple(sentences), equal)


def _prove(run: RunReport, found: Reread) -> Iterator[str]:
    yield "This is the file of that run, byte for byte, and its rows give the digest of the report."
    first, last = run.earlier[-1].last + 1 if run.earlier else 1, found.through
    if last < first:
        yield "The digest is that of no row: the run's last session had none to receive."
    elif run.state is not State.COMPLETED:
        yield f"It covers rows {first:,} to {last:,}: the run was {run.state} after they were published."
    elif first > 1:
        yield f"It covers rows {first:,} to {last:,}, those of the run's last session."


def _differ(run: RunReport, found: Reread, checks: list[Check], blocks: Blocks | None) -> Iterator[str]:
    same_bytes = all(one.equal for one in checks[:2])
    if same_bytes and run.state is not State.COMPLETED:
        yield "This is the file of that run, byte for byte, and no beginning of its rows gives the digest of the report."
        yield (
            f"The run was {run.state}: its digest may be that of a session that was left, and then nothing here proves it."
        )
    elif same_bytes:
        yield "This is the file of that run, byte for byte, and its rows give another digest."
        yield "The report was changed, or was made by a version that reads files in another way."
    elif found.header_fault:
        yield "This is another file."
        yield found.header_fault
    elif all(one.equal for one in checks[2:]):
        yield "The rows are those of the run, and give the digest of the report; the file is not the same, byte for byte."
        yield from _place(run, found, blocks, "The records are written in another way: line ends, quotes, blank lines.")
    else:
        yield "This is another file: its rows do not give the digest of the report."
        yield from _place(run, found, blocks, "The report's hashes of records show no difference: it was changed.")


def _place(run: RunReport, found: Reread, blocks: Blocks | None, nowhere: str) -> Iterator[str]:
    if blocks is None:
        yield (
            "The report has no hashes of records, so it does not show where. "
            f"The server has a report with them, as long as it keeps the file: /runs/{run.id}/report.json."
        )
    elif found.place is None:
        yield nowhere
    else:
        yield _describe(run, found, found.place)


def _describe(run: RunReport, found: Reread, place: Place) -> str:
    first, last = place.first, place.last
    if first is None or last is None:
        return f"The file has no record; the report has {counted(run.counts.read, 'record')}."
    if place.unlike is Unlike.ENDED:
        more = counted(run.counts.read - found.read, "more record")
        return f"It ends after {_name(first)}; the report has {more}."
    if place.unlike is Unlike.MORE:
        return f"The first difference is {_name(first)}, where the report has no more records: {_content(run, first)}"
    if first == last:
        return f"The first difference is {_name(first)}, which holds here: {_content(run, first)}"
    return f"The first difference is among the records from {_name(first)}, to {_name(last)}."


def _name(record: Record) -> str:
    line, one = record
    return f"row {one.number:,} on line {line:,}" if isinstance(one, Row) else f"the rejected record on line {line:,}"


def _content(run: RunReport, record: Record) -> str:
    one = record[1]
    if not isinstance(one, Row):
        return one.excerpt
    text = json.dumps(dict(zip(run.parameters.columns, one.fields, strict=False)), ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
