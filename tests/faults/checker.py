"""Looks from outside, after each fault: what the file holds, what the report tells, what the consumer's table has."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.faults.world import Report, World


@dataclass
class Rows:
    """A file of rows that nobody else has, some of them with a mail that stands before."""

    count: int
    repeats: int = 0
    mark: str = field(default_factory=lambda: uuid4().hex[:12])

    @property
    def mails(self) -> list[str]:
        return [f"{n % (self.count - self.repeats)}@{self.mark}" for n in range(self.count)]

    def csv(self) -> bytes:
        return "".join(f"Name {n},{mail}\n" for n, mail in enumerate(self.mails)).encode()


@dataclass(frozen=True)
class Outcome:
    """What became of the rows: those not in the table though nothing says so, and those there twice."""

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


async def saved_mails(world: World, rows: Rows) -> list[str]:
    found = await world.database.fetch(
        "SELECT mail FROM employees WHERE mail LIKE $1", f"%@{rows.mark}"
    )
    return [row["mail"] for row in found]


async def look(world: World, report: Report, rows: Rows) -> Outcome:
    """What became of the rows of a run that completed. Its report must be right, whatever became of them."""
    adds_up(report)
    assert report["state"] == "completed" and report["rows"]["unpublished"] == 0, report
    assert (report["rows"]["read"], report["rows"]["rejected"]) == (rows.count, 0), report
    saved = await saved_mails(world, rows)
    missing = set(rows.mails) - set(saved)
    named = _named(report)
    unnamed = {
        mail for number, mail in enumerate(rows.mails, 1) if mail in missing and number not in named
    }
    doubled = len(saved) - len(set(saved))
    if report["verdict"] == "kept":
        assert not missing, (sorted(missing)[:5], report)
        told = report["session"].get("digest")
        assert told in (None, report["digest"]), report
    return Outcome(
        rows.count, len(unnamed), doubled, len(missing) - len(unnamed), report["verdict"]
    )


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


async def nothing_left(world: World) -> None:
    """No half taken file."""
    assert not [*world.uploads.glob("*.part"), *world.uploads.glob("*.whole")]


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
        verdicts = ", ".join(
            f"{verdict} {count}" for verdict, count in sorted(entry.verdicts.items())
        )
        numbers = (entry.tries, entry.rows, entry.lost, entry.doubled, entry.named)
        lines.append((fault, *(f"{number:,}" for number in numbers), verdicts))
    return ["| " + " | ".join(line) + " |" for line in lines]
