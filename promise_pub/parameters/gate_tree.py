"""The tree of a gate: values, sums, comparisons and what joins them, evaluated in three-valued logic. Pure.

True, False and None, for unknown, are Kleene's: a name that nobody told and a division by zero are unknown, and so is
whatever rests on them. Nothing here raises. Numbers are fractions, so that 7 % of 100 rows are 7 rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from operator import eq, ge, gt, le, lt, ne

Value = Fraction | str
Values = Mapping[str, Value | None]
"""Values of a report by the names of a gate; None where nobody reported one. Times are in the unit of their name."""

OPERATORS = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "=": eq, "!=": ne}
ANY, ALL = "or", "and"


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of a value: how rows and seconds are multiplied in it, as in rows a second.

    `scale` is the unit of a bare number beside it, in seconds or their powers; None where ms and s meet.
    """

    rows: int = 0
    time: int = 0
    scale: Fraction | None = Fraction(1)

    def describe(self) -> str:
        known = {(0, 0): "a plain number", (1, 0): "a number of rows", (0, 1): "a time", (1, -1): "rows a second"}
        return known.get((self.rows, self.time), "a product of rows and times")


@dataclass(frozen=True, slots=True)
class Special:
    """A kind that takes its meaning from what stands beside it, or is no amount."""

    words: str

    def describe(self) -> str:
        return self.words


RATIO, ROWS, SECONDS, MILLISECONDS = Kind(), Kind(rows=1), Kind(time=1), Kind(time=1, scale=Fraction(1, 1000))
PER_SECOND = Kind(rows=1, time=-1)
BARE, SHARE = Special("a bare number"), Special("a percentage")
VERDICT, WORD, TRUTH = Special("the verdict"), Special("a word of the verdict"), Special("a comparison")
FAULTY = Special("faulty")
"""Has been complained about; nothing more is said of it."""

AnyKind = Kind | Special


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a gate: its kind, and its first and last character in the text."""

    kind: AnyKind
    start: int
    end: int

    def evaluate(self, values: Values) -> Value | bool | None:
        return None

    def parts(self) -> Iterator[Node]:
        yield from ()


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A number or a word; times are in seconds, a percentage is a hundredth."""

    value: Value

    def evaluate(self, values: Values) -> Value | None:
        return self.value


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name of the report."""

    name: str

    def evaluate(self, values: Values) -> Value | None:
        value = values.get(self.name)
        scale = self.kind.scale if isinstance(self.kind, Kind) else None
        return value * scale if isinstance(value, Fraction) and scale else value


@dataclass(frozen=True, slots=True)
class Operation(Node):
    """Numbers with an operator before each: all of `+ -`, or all of `* /`."""

    operands: tuple[tuple[str, Node], ...]

    def parts(self) -> Iterator[Node]:
        yield from (node for _, node in self.operands)

    def evaluate(self, values: Values) -> Value | None:
        result = Fraction(self.operands[0][0] in "*/")
        for operator, node in self.operands:
            value = node.evaluate(values)
            if not isinstance(value, Fraction) or (operator == "/" and not value):
                return None
            if operator in "+-":
                result += value if operator == "+" else -value
            else:
                result *= value if operator == "*" else 1 / value
        return result


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """Two values and how they compare."""

    operator: str
    left: Node
    right: Node

    def parts(self) -> Iterator[Node]:
        yield from (self.left, self.right)

    def evaluate(self, values: Values) -> bool | None:
        left, right = self.left.evaluate(values), self.right.evaluate(values)
        return None if left is None or right is None else bool(OPERATORS[self.operator](left, right))

    def show(self, values: Values) -> str:
        """Returns the two values as they are compared, as in 11,201 < 11,273."""
        sides = (self.left, self.right)
        named = [side for side in sides if any(isinstance(one, Name) for one in walk(side))]
        kind = next((side.kind for side in (*named, *sides) if isinstance(side.kind, Kind)), RATIO)
        left, right = (_show(side.evaluate(values), kind) for side in sides)
        return f"{left} {self.operator} {right}"


@dataclass(frozen=True, slots=True)
class Negation(Node):
    """The contrary of a comparison; of unknown, unknown."""

    operand: Node

    def parts(self) -> Iterator[Node]:
        yield self.operand

    def evaluate(self, values: Values) -> bool | None:
        value = self.operand.evaluate(values)
        return None if value is None else not value


@dataclass(frozen=True, slots=True)
class Junction(Node):
    """Comparisons joined by `and`, or by `or`."""

    word: str
    operands: tuple[Node, ...]

    def parts(self) -> Iterator[Node]:
        yield from self.operands

    def evaluate(self, values: Values) -> bool | None:
        found = {operand.evaluate(values) for operand in self.operands}
        decides = self.word == ANY
        if decides in found:
            return decides
        return None if None in found else not decides


def walk(node: Node) -> Iterator[Node]:
    """Yields a node and all below it, from the left."""
    yield node
    for part in node.parts():
        yield from walk(part)


def _show(value: Value | bool | None, kind: Kind) -> str:
    if value is None:
        return "unknown"
    if not isinstance(value, Fraction):
        return str(value)
    if (kind.rows, kind.time) == (0, 1):
        return f"{_digits(value * 1000)} ms" if kind.scale == MILLISECONDS.scale else f"{_digits(value)} s"
    return _digits(value)


def _digits(value: Fraction) -> str:
    """Returns a number with three decimal places at most; one that these would turn into zero is written in full."""
    exact = Decimal(value.numerator) / value.denominator
    text = f"{exact:,.3f}".rstrip("0").rstrip(".")
    return text if abs(exact) < 10**15 and (text.strip("-0.") or not value) else f"{exact:.3g}"
