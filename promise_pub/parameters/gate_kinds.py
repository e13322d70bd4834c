"""The names of a gate, and which of their values can be compared, added and multiplied. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from promise_pub.parameters.gate_tree import (
    ALL,
    ANY,
    BARE,
    FAULTY,
    MILLISECONDS,
    PER_SECOND,
    RATIO,
    ROWS,
    SECONDS,
    SHARE,
    VERDICT,
    AnyKind,
    Constant,
    Kind,
    Name,
    Node,
    Operation,
)

NAMES: Mapping[str, AnyKind] = {
    **dict.fromkeys(("read", "accepted", "rejected", "confirmed", "returned", "nacked", "resent"), ROWS),
    **dict.fromkeys(("received", "saved", "repeats", "unusable", "missing", "db_count"), ROWS),
    **dict.fromkeys(("p50", "p95", "p99", "max"), MILLISECONDS),
    "rate": PER_SECOND,
    **{f"seconds.{part}": SECONDS for part in ("queued", "negotiating", "publishing", "draining", "total")},
    "verdict": VERDICT,
}
"""The names of the report that a gate may use, and what kind of value each has."""

VERDICTS = ("kept", "broken", "unknown")
JOINS = (ANY, ALL, "not")

Complain = Callable[[str], None]


def combine(left: Node, right: Node, complain: Complain) -> tuple[Node, Node, AnyKind]:
    """Returns two values as they can be compared or added, and what kind their sum has; FAULTY after a complaint.

    A bare number takes the unit of the other value, and a percentage becomes a share of the rows read.
    """
    kinds = (left.kind, right.kind)
    if FAULTY in kinds:
        return left, right, FAULTY
    if odd := next((kind for kind in kinds if not _is_number(kind)), None):
        complain(f"{odd.describe()} is no number")
    elif left.kind == right.kind:
        return left, right, left.kind
    elif isinstance(left.kind, Kind) and isinstance(right.kind, Kind):
        if (left.kind.rows, left.kind.time) == (right.kind.rows, right.kind.time):
            return left, right, Kind(left.kind.rows, left.kind.time, None)
        complain(f"{left.kind.describe()} cannot be compared with {right.kind.describe()}, nor added to it")
    elif set(kinds) == {BARE, SHARE}:
        complain("a percentage stands beside a bare number: write what it is a share of, as in 1% * read")
    else:
        amount = left.kind if isinstance(left.kind, Kind) else right.kind
        assert isinstance(amount, Kind)
        if adopted := _adopt(right if amount is left.kind else left, amount, complain):
            return (left, adopted, amount) if amount is left.kind else (adopted, right, amount)
    return left, right, FAULTY


def _is_number(kind: AnyKind) -> bool:
    return isinstance(kind, Kind) or kind in (BARE, SHARE)


def _adopt(node: Node, amount: Kind, complain: Complain) -> Node | None:
    """Returns a bare number, or a percentage, as an amount of this kind; None after a complaint."""
    factor: Node
    if (amount.rows, amount.time) == (0, 0):
        return node
    if node.kind is SHARE:
        if (amount.rows, amount.time) != (ROWS.rows, ROWS.time):
            complain(f"a percentage is a share of rows, and cannot stand beside {amount.describe()}")
            return None
        factor = Name(ROWS, node.start, node.end, "read")
    elif amount.scale is None:
        complain("a number needs a unit where ms and s meet: write 50ms or 90s")
        return None
    else:
        factor = Constant(BARE, node.start, node.end, amount.scale)
    return Operation(amount, node.start, node.end, (("*", node), ("*", factor)))


def multiply(kind: AnyKind, other: AnyKind, sign: str, complain: Complain) -> AnyKind:
    """Returns what kind the product or the quotient of two kinds has; FAULTY after a complaint."""
    if FAULTY in (kind, other):
        return FAULTY
    if odd := next((one for one in (kind, other) if not _is_number(one)), None):
        complain(f"{odd.describe()} is no number")
        return FAULTY
    if not isinstance(kind, Kind) and not isinstance(other, Kind):
        if kind == other:
            return kind if kind is BARE else RATIO
        return BARE if (kind, sign) == (BARE, "/") else SHARE
    left, right = (one if isinstance(one, Kind) else RATIO for one in (kind, other))
    power = 1 if sign == "*" else -1
    rows, time = left.rows + power * right.rows, left.time + power * right.time
    if (rows, time) == (0, 0):
        return RATIO
    scale = None if left.scale is None or right.scale is None else Fraction(left.scale * right.scale**power)
    return Kind(rows, time, scale)
