"""A gate: the expression that fails a run, as in saved < accepted or p99 > 50ms. Parsed by hand, judged purely.

    gate       = all { "or" all }
    all        = not { "and" not }
    not        = { "not" } comparison
    comparison = sum [ ( "<" | "<=" | ">" | ">=" | "=" | "==" | "!=" ) sum ]
    sum        = product { ( "+" | "-" ) product }
    product    = signed { ( "*" | "/" ) signed }
    signed     = { "-" } ( number [ "ms" | "s" | "%" | "K" | "M" ] | name | "(" gate ")" )

A number without a unit beside a time is in the unit of its name: milliseconds of a latency, seconds of `seconds.*`.
A percentage beside a number of rows is that share of `read`; beside a ratio it is a hundredth. What cannot be compared,
such as rows with a time, is a fault of the text, found before any run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from promise_pub.errors import BadParameter
from promise_pub.parameters.gate_faults import Faults
from promise_pub.parameters.gate_parser import parse_tree
from promise_pub.parameters.gate_tree import ANY, Comparison, Junction, Name, Node, Values, walk

MAX_TEXT = 1000  # characters
_REMEMBERED = 1024  # gates: a page of the history shows 500 runs, and most runs of a place have the same


USUAL_GATES: Mapping[str, str] = {
    "rejected > 0": "rows are rejected",
    "saved = 0": "nothing new is saved",
    "saved < accepted": "an accepted row is not saved",
    "resent > 0": "rows had to be sent again",
}
"""Common gates, in words that follow `fail when`."""


class Outcome(StrEnum):
    """The outcome of a clause, or of a gate. What cannot be judged is unknown, and does not pass."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


_OUTCOMES: Mapping[bool | None, Outcome] = {True: Outcome.FAILED, False: Outcome.PASSED, None: Outcome.UNKNOWN}


@dataclass(frozen=True, slots=True)
class JudgedClause:
    """A clause with its outcome and the values it saw, as in 11,201 < 11,273. `untold` are names that nobody told."""

    clause: str
    outcome: Outcome
    seen: str
    untold: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        if self.outcome is not Outcome.UNKNOWN:
            return f"{self.clause}: {self.seen}"
        if not self.untold:
            return f"{self.clause}: {self.seen}, because something is divided by zero"
        return f"{self.clause}: {self.seen}, because nobody told {' and '.join(self.untold)}"


@dataclass(frozen=True, slots=True)
class Clause:
    """One of the conditions, each of which fails a run: an operand of the outermost `or`."""

    text: str
    tree: Node

    def judge(self, values: Values) -> JudgedClause:
        parts = [*walk(self.tree)]
        untold = dict.fromkeys(one.name for one in parts if isinstance(one, Name) and values.get(one.name) is None)
        seen = ", ".join(one.show(values) for one in parts if isinstance(one, Comparison))
        outcome = _OUTCOMES[self.tree.evaluate(values)]  # type: ignore[index]
        return JudgedClause(self.text, outcome, seen, tuple(untold))


@dataclass(frozen=True, slots=True)
class Gate:
    """An expression that fails a run where it is true. Two of the same text are equal."""

    text: str
    clauses: tuple[Clause, ...] = field(compare=False, repr=False)
    names: tuple[str, ...] = field(compare=False, repr=False)
    """The names of the report that it uses."""

    def judge(self, values: Values) -> tuple[JudgedClause, ...]:
        """Returns each clause with its outcome. Never raises."""
        return tuple(clause.judge(values) for clause in self.clauses)


def outcome_of(judged: Sequence[JudgedClause]) -> Outcome:
    """Returns the outcome of all clauses together: one that failed decides, else one that is unknown."""
    found = {one.outcome for one in judged}
    return next((one for one in (Outcome.FAILED, Outcome.UNKNOWN) if one in found), Outcome.PASSED)


def parse_gate(text: str) -> Gate:
    """Returns the gate in a parameter; blanks are made single. Raises BadParameter that shows every fault with its place."""
    if len(text) > MAX_TEXT:
        raise BadParameter(f"fail_if has {len(text):,} characters, over the limit of {MAX_TEXT:,}.")
    return _parse(" ".join(text.split()))


@lru_cache(_REMEMBERED)
def _parse(text: str) -> Gate:
    if not text:
        raise BadParameter("fail_if is empty: write when a run fails, as in saved < accepted, or leave it out.")
    faults = Faults(text)
    tree = parse_tree(text, faults)
    if faults.found:
        raise BadParameter(faults.describe())
    operands = tree.operands if isinstance(tree, Junction) and tree.word == ANY else (tree,)
    names = dict.fromkeys(one.name for one in walk(tree) if isinstance(one, Name))
    return Gate(text, tuple(Clause(text[one.start : one.end], one) for one in operands), tuple(names))


def join_gates(texts: Sequence[str]) -> str:
    """Returns one text that fails a run where one of these does, each of which must be a gate by itself.

    Raises BadParameter.
    """
    gates = dict.fromkeys(map(parse_gate, texts))
    if len(gates) == 1:
        return next(iter(gates)).text
    return " or ".join(f"({gate.text})" for gate in gates)
