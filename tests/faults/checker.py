"""Looks from outside, after each fault: what the file holds, what the report tells, what the consumer's database has.

Nothing here asks promise-pub how it counts, hashes or writes: the file's rows are known from their making, messages
are written as the contract has them, and the digest is summed as docs/consumer-contract.md defines it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from uuid import uuid4

from tests.faults.parts import PATIENCE
from tests.faults.world import POLL, Report, World

_COUNTED = ("read", "rejected", "published", "confirmed", "returned", "nacked", "resent")
_REPORTED = {"received": "received", "saved": "saved", "duplicates": "repeats", "invalid": "unusable"}


@dataclass
class Rows:
    """A file of rows that nobody else has, some of them with a mail that stands before."""

    count: int
    repeats: int = 0
    mark: str = field(default_factory=lambda: uuid4().hex[:12])

    @property
    def mails(self) -> list[str]:
        return [f"{n % (self.count - self.repeats)}@{self.mark}" for n in range(self.count)]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(f"Name {n}", mail) for n, mail in enumerate(self.mails)]

    @property
    def firsts(self) -> set[tuple[str, str]]:
        """The rows to be saved: of each mail the first."""
        return set(self.pairs[: self.count - self.repeats])

    def csv(self) -> bytes:
        return "".join(f"{name},{mail}\n" for name, mail in self.pairs).encode()

    def digest(self, run_id: str, numbers: Iterable[int]) -> str:
        """Of the messages of these rows."""
        pairs, total = self.pairs, 0
        for number in numbers:
            name, mail = pairs[number - 1]
            body = json.dumps({"name": name, "mail": mail}, ensure_ascii=False)
            message = f"{run_id}:{number}\0{body}".encode()
            total += int.from_bytes(blake2b(message, digest_size=16).digest(), "big")
        return f"{total % 2**128:032x}"


@dataclass(frozen=True)
class Outcome:
    """What became of the rows: those not in the table though nothing says so, and inserts there were too many."""

    rows: int
    lost: int
    doubled: int
    named: int
    verdict: str


@dataclass
class Entry:
    """A line of the table: one kind of fault, however often it was tried."""

    tries: int = 0
    rows: int = 0
    lost: int = 0
    doubled: int = 0
    named: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)


class Record:
    """What was tried, and what came of it."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.started = time.monotonic()

    def add(self, fault: str, outcome: Outcome) -> None:
        entry = self.entries.setdefault(fault, Entry())
        entry.tries += 1
        entry.rows += outcome.rows
        entry.lost += outcome.lost
        entry.doubled += outcome.doubled
        entry.named += outcome.named
        entry.verdicts[outcome.verdict] = entry.verdicts.get(outcome.verdict, 0) + 1


def adds_up(report: Report) -> None:
    """At every moment, and whatever happened."""
    rows = report["rows"]
    accepted = rows["read"] - rows["rejected"]
    parts = ("confirmed", "returned", "nacked", "in_flight", "unpublished")
    assert all(rows[part] >= 0 for part in parts), rows
    assert accepted == sum(rows[part] for part in parts), rows
    assert sum(one["rows"] for one in report["resends"]) == rows["resent"], report


@dataclass(frozen=True)
class Saved:
    """The rows of one file in the consumer's database: those in the table, and every insert there ever was."""

    table: list[tuple[str, str]]
    inserts: list[tuple[str, str]]

    @property
    def doubled(self) -> int:
        """Inserts beyond the first of each mail: `employees` itself shows none of them, its mails are UNIQUE."""
        return sum(count - 1 for count in Counter(mail for _, mail in self.inserts).values())


async def saved(world: World, rows: Rows) -> Saved:
    found = []
    for table in ("employees", "every_insert"):
        statement = f"SELECT name, mail FROM {table} WHERE mail LIKE $1"
        told = await world.database.fetch(statement, f"%@{rows.mark}")
        found.append([(row["name"], row["mail"]) for row in told])
    return Saved(*found)


_TOLD = """
SELECT message_id, topic, body FROM outbox WHERE subject = $1
UNION ALL
SELECT message_id, substr(topic, strpos(topic, '.') + 1), convert_from(body, 'UTF8')::jsonb FROM journal_events
WHERE subject = $1 AND source = 'own'
"""
_DENSE = "SELECT count(*) AS events, max(seq) AS last, count(DISTINCT key) AS keys FROM journal_events"


async def telling_adds_up(world: World, report: Report) -> None:
    """The events of a run add up to its report, each told once; and the journal has no holes."""
    async with asyncio.timeout(PATIENCE):
        while True:  # its end may not be recorded yet
            found = await world.database.fetch(_TOLD, report["id"])
            told = {row["message_id"]: json.loads(row["body"]) for row in found if row["topic"].startswith("run.")}
            if any(body.get("state") == report["state"] for body in told.values()):
                break
            await asyncio.sleep(POLL)
    rows: Counter[str] = Counter()
    for body in told.values():
        rows.update(body.get("rows", {}))
    totals = report["totals"]
    wanted = {
        **{fate: report["rows"][fate] for fate in _COUNTED},
        **{fate: totals[name] or 0 for fate, name in _REPORTED.items()},
    }
    assert {fate: rows[fate] for fate in wanted} == wanted, (told, report)
    numbers = sorted(int(message_id.rpartition(":e")[2]) for message_id in told)
    assert numbers == [*range(1, len(numbers) + 1)], told
    (journal,) = await world.database.fetch(_DENSE)
    assert journal["events"] == journal["keys"] == (journal["last"] or 0), dict(journal)


async def look(world: World, report: Report, rows: Rows, *, truthful: bool = True) -> Outcome:
    """What became of the rows of a run that completed. Its report must be right, whatever became of them.

    It cannot be better than a consumer whose counts are no `truthful` ones.
    """
    adds_up(report)
    assert report["state"] == "completed" and report["rows"]["unpublished"] == 0, report
    assert (report["rows"]["read"], report["rows"]["rejected"]) == (rows.count, 0), report
    there = await saved(world, rows)
    strange = (set(there.table) | set(there.inserts)) - rows.firsts
    assert not strange, (sorted(strange)[:5], report)  # under another's name, or another's mail
    digests_are_right(report, rows)
    await telling_adds_up(world, report)
    if truthful:
        counts_are_right(report, len(there.inserts), resumed=report["id"] in world.resumed)
    missing = {mail for _, mail in rows.firsts - set(there.table)}
    named = _named(report)
    unnamed = {mail for number, mail in enumerate(rows.mails, 1) if mail in missing and number not in named}
    if report["verdict"] == "kept":
        assert not missing, (sorted(missing)[:5], report)
        told = report["session"].get("digest")
        assert told in (None, report["digest"]), report
    return Outcome(rows.count, len(unnamed), there.doubled, len(missing) - len(unnamed), report["verdict"])


def digests_are_right(report: Report, rows: Rows) -> None:
    """The report's is of the session's rows, the consumer's of those that it says it received."""
    first = report["earlier_sessions"][-1]["last_row"] + 1 if report["earlier_sessions"] else 1
    expected = rows.digest(report["id"], range(first, rows.count + 1))
    assert report["digest"] == expected, (expected, report)
    session = report["session"]
    if "digest" in session:
        received = rows.digest(report["id"], _numbers(session["rows"]))
        assert session["digest"] == received, (received, report)


def counts_are_right(report: Report, inserts: int, *, resumed: bool) -> None:
    """What the sessions told beside what was really inserted: a row counted twice as saved would be one too many."""
    session, earlier = report["session"], [one["session"] for one in report["earlier_sessions"]]
    told = [one["saved"] for one in (*earlier, session) if one["saved"] is not None]
    assert sum(told) <= inserts, (inserts, report)
    # A server that is killed may not have noted its first session yet.
    if told and not earlier and not resumed:
        assert session["saved"] == inserts, (inserts, report)
    if "duplicates" not in session:
        return
    assert session["received"] == session["saved"] + session["duplicates"], report
    again = session["received"] - len(_numbers(session["rows"]))
    # How often its rows went out at the end of a server that was killed, a run that is resumed does not know.
    assert again >= 0 and (resumed or again <= report["rows"]["resent"]), report


def _named(report: Report) -> set[int]:
    """The numbers of the rows that the report says are not at the consumer."""
    texts = [report["returned_rows"], report["nacked_rows"]]
    for sentence in report["explanation"]:
        if "never received: " in sentence:
            texts.append(sentence.rpartition(": ")[2])
    return {number for text in texts for number in _numbers(text)}


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for piece in text.split(",") if text else ():
        first, _, last = piece.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def table(record: Record, seconds: float) -> list[str]:
    headings = (
        "fault",
        "times tried",
        "rows at stake",
        "lost",
        "doubled",
        "named as lost",
        "verdict",
    )
    lines: list[Any] = [headings, ("---", *["---:"] * 5, "---")]
    for fault, entry in sorted(record.entries.items()):
        verdicts = ", ".join(f"{verdict} {count}" for verdict, count in sorted(entry.verdicts.items()))
        numbers = (entry.tries, entry.rows, entry.lost, entry.doubled, entry.named)
        lines.append((fault, *(f"{number:,}" for number in numbers), verdicts))
    return ["| " + " | ".join(line) + " |" for line in lines]
