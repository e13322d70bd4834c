"""The parser of a gate: its text → a tree in which every comparison makes sense, or all faults with their places. Pure.

After a fault the parser goes on behind the next `and`, `or` or bracket, so that one request shows all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import NamedTuple

from promise_pub.parameters.gate_faults import MEANT, SHOWN, Faults, describe_unknown
from promise_pub.parameters.gate_kinds import JOINS, NAMES, VERDICTS, combine, multiply
from promise_pub.parameters.gate_tree import (
    ALL,
    ANY,
    BARE,
    FAULTY,
    MILLISECONDS,
    OPERATORS,
    SECONDS,
    SHARE,
    TRUTH,
    VERDICT,
    WORD,
    AnyKind,
    Comparison,
    Constant,
    Junction,
    Name,
    Negation,
    Node,
    Operation,
)

MAX_NESTING = 32  # brackets within each other: each is a few calls of the parser within each other
MAX_DIGITS = 15  # before the point of a number

_UNITS: Mapping[str, tuple[AnyKind, Fraction]] = {
    "ms": (MILLISECONDS, Fraction(1, 1000)),
    "s": (SECONDS, Fraction(1)),
    "%": (SHARE, Fraction(1, 100)),
    "K": (BARE, Fraction(1000)),
    "M": (BARE, Fraction(1_000_000)),
}
_TOKEN = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)|(?P<word>[^\W\d]\w*(?:\.\w+)*)"
    r"|(?P<sign>[<>=!]=|[-+*/()<>=%])|(?P<blank> )|(?P<odd>&&|\|\||.)",
    re.DOTALL,
)


class Token(NamedTuple):
    """A part of the text: what it is, and where."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class _Skip(Exception):
    """The rest of an operand cannot be read; its fault is noted."""


def parse_tree(text: str, faults: Faults) -> Node:
    """Returns the tree of a text that is not empty and has single blanks; faults are added to `faults`."""
    return _Parser(text, faults).parse()


class _Parser:
    """Reads tokens from the left, a rule of the grammar a method."""

    def __init__(self, text: str, faults: Faults) -> None:
        found = (Token(str(one.lastgroup), one[0], one.start()) for one in _TOKEN.finditer(text))
        self._tokens = [*(token for token in found if token.kind != "blank"), Token("end", "", len(text))]
        self._at = 0
        self._depth = 0
        self._faults = faults

    def parse(self) -> Node:
        tree = self._require_truth(self._junction(ANY))
        while self._token.kind != "end":  # a bracket that closes nothing: there may be more behind it
            self._faults.add(self._token.start, "this bracket closes nothing")
            self._at += 1
            self._skip()
            if self._take(ANY, ALL):
                self._require_truth(self._junction(ANY))
        return tree

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    @property
    def _end(self) -> int:
        return self._tokens[self._at - 1].end

    def _take(self, *texts: str) -> Token | None:
        """Returns the next token and goes behind it where it is one of these."""
        token = self._token
        if token.kind == "end" or token.text not in texts:
            return None
        self._at += 1
        return token

    def _skip(self) -> None:
        """Goes to the next `and`, `or` or closing bracket that is not within another."""
        depth = 0
        while self._token.kind != "end" and (depth or self._token.text not in (ANY, ALL, ")")):
            depth += (self._token.text == "(") - (self._token.text == ")")
            self._at += 1

    def _fault(self, start: int, words: str) -> _Skip:
        self._faults.add(start, words)
        return _Skip()

    def _unexpected(self, words: str) -> _Skip:
        """Returns the fault of a token that cannot stand where it does."""
        token = self._token
        if token.kind == "end":
            return self._fault(token.start, f"{words} at the end")
        if token.kind != "odd":
            return self._fault(token.start, f"{words} before {token.text[:SHOWN]!r}")
        meant = f": write {MEANT[token.text]}" if token.text in MEANT else ""
        return self._fault(token.start, f"{token.text!r} means nothing here{meant}")

    def _require_truth(self, node: Node) -> Node:
        if node.kind not in (TRUTH, FAULTY):
            example = "verdict != kept" if node.kind in (VERDICT, WORD) else "saved < accepted"
            self._faults.add(node.start, f"this is compared with nothing: write a comparison, as in {example}")
        return node

    def _junction(self, word: str) -> Node:
        """Reads operands joined by `or`, each of them operands joined by `and`. A single one may be a number."""
        start = self._token.start
        found: list[Node] = []
        while not found or self._take(word):
            found.append(self._junction(ALL) if word == ANY else self._operand())
        if len(found) == 1:
            return found[0]
        nested = [one.parts() if isinstance(one, Junction) and one.word == word else [one] for one in found]
        return Junction(TRUTH, start, self._end, word, tuple(map(self._require_truth, chain(*nested))))

    def _operand(self) -> Node:
        """Reads a comparison or a number. After a fault goes behind it, and returns a node of which no more is said."""
        start = self._token.start
        try:
            node = self._negation()
            if self._token.kind != "end" and self._token.text not in (ANY, ALL, ")"):
                raise self._unexpected("an operator is missing")
        except _Skip:
            self._skip()
            return Node(FAULTY, start, start)
        return node

    def _negation(self) -> Node:
        start, denials = self._token.start, 0
        while self._take("not"):
            denials += 1
        node = self._comparison()
        if not denials or node.kind is FAULTY:
            return node
        if node.kind is not TRUTH:
            raise self._fault(start, "not denies a comparison, as in not (saved < accepted)")
        return Negation(TRUTH, start, self._end, node) if denials % 2 else node

    def _comparison(self) -> Node:
        start, left = self._token.start, self._sum()
        token = self._take(*OPERATORS)
        if not token:
            return left
        right = self._sum()
        if self._token.text in OPERATORS:
            raise self._fault(self._token.start, "compare two values at a time, and join comparisons by and")
        kinds = {left.kind, right.kind}
        if FAULTY not in kinds and kinds & {VERDICT, WORD}:
            if kinds != {VERDICT, WORD} or token.text not in ("=", "==", "!="):
                raise self._fault(token.start, f"verdict is compared by == or != with one of {', '.join(VERDICTS)}")
        else:
            left, right, kind = combine(left, right, partial(self._faults.add, token.start))
            if kind is FAULTY:
                return Node(FAULTY, start, start)
        return Comparison(TRUTH, start, self._end, token.text, left, right)

    def _sum(self) -> Node:
        start, node = self._token.start, self._product()
        operands, kind = [("+", node)], node.kind
        while token := self._take("+", "-"):
            so_far = node if len(operands) == 1 else Operation(kind, start, self._end, tuple(operands))
            left, right, kind = combine(so_far, self._product(), partial(self._faults.add, token.start))
            operands = [*(operands if left is so_far else [("+", left)]), (token.text, right)]
        return node if len(operands) == 1 else Operation(kind, start, self._end, tuple(operands))

    def _product(self) -> Node:
        start, node = self._token.start, self._signed()
        operands, kind = [("*", node)], node.kind
        while token := self._take("*", "/"):
            right = self._signed()
            kind = multiply(kind, right.kind, token.text, partial(self._faults.add, token.start))
            operands.append((token.text, right))
        return node if len(operands) == 1 else Operation(kind, start, self._end, tuple(operands))

    def _signed(self) -> Node:
        start, signs = self._token.start, 0
        while self._take("-"):
            signs += 1
        node = self._value()
        if not signs:
            return node
        kind = combine(node, node, partial(self._faults.add, start))[2]
        return Operation(kind, start, self._end, (("+-"[signs % 2], node),))

    def _value(self) -> Node:
        token = self._token
        if token.text == "(":
            return self._bracket()
        if token.kind not in ("number", "word") or token.text in JOINS:
            raise self._unexpected("a value is missing")
        self._at += 1
        if token.kind == "number":
            return self._number(token)
        if token.text in VERDICTS:
            return Constant(WORD, token.start, token.end, token.text)
        if token.text in NAMES:
            return Name(NAMES[token.text], token.start, token.end, token.text)
        self._faults.add(token.start, describe_unknown(token.text))
        return Node(FAULTY, token.start, token.end)

    def _bracket(self) -> Node:
        opening = self._token
        if self._depth == MAX_NESTING:
            raise self._fault(opening.start, f"brackets stand within each other more than {MAX_NESTING} deep")
        self._at += 1
        self._depth += 1
        node = self._junction(ANY)
        self._depth -= 1
        if not self._take(")"):
            raise self._fault(opening.start, "this bracket is not closed")
        return node

    def _number(self, token: Token) -> Node:
        """Reads a number, which is behind, and its unit."""
        unit = self._token
        kind: AnyKind = BARE
        factor = Fraction(1)
        if unit.text in _UNITS:
            kind, factor = _UNITS[unit.text]
            self._at += 1
        elif unit.kind == "word" and unit.start == token.end and unit.text not in JOINS:
            self._at += 1
            self._faults.add(unit.start, f"there is no unit {unit.text[:SHOWN]!r}: units are {', '.join(_UNITS)}")
            return Node(FAULTY, token.start, unit.end)
        if len(token.text.partition(".")[0]) > MAX_DIGITS:
            self._faults.add(token.start, f"this number is too large: it has more than {MAX_DIGITS} digits")
            return Node(FAULTY, token.start, token.end)
        return Constant(kind, token.start, self._end, Fraction(token.text.rstrip(".")) * factor)
