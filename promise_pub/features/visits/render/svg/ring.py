"""Pages on a ring, those beside each other between which people go most. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

PASSES = 12  # over all pairs; nearly always there is nothing left to better after five
LEAST = 1e-9  # what counts as better: less is how floats are added

Weights = Sequence[Sequence[float]]
"""How strongly each two are linked; the same both ways."""


def ring(weights: Weights) -> list[int]:
    """An order of 0, 1, …, that begins with 0: two of them trade places for as long as it shortens the ways.

    It is a good order, not the best: that one takes hours to find for 15.
    """
    order = _chained(weights)
    for _ in range(PASSES):
        if not _bettered(order, weights):
            break
    start = order.index(0)
    return order[start:] + order[:start]


def _chained(weights: Weights) -> list[int]:
    """Each is followed by the one it is linked to most of those that are left."""
    order, left = [0] if weights else [], list(range(1, len(weights)))
    while left:
        following = max(left, key=lambda one: weights[order[-1]][one])
        left.remove(following)
        order.append(following)
    return order


def _bettered(order: list[int], weights: Weights) -> bool:
    """Whether any two were better off in each other's place; then they are there."""
    found = False
    for one, other in combinations(range(len(order)), 2):
        before = _length(one, order, weights) + _length(other, order, weights)
        order[one], order[other] = order[other], order[one]
        if _length(one, order, weights) + _length(other, order, weights) < before - LEAST:
            found = True
        else:
            order[one], order[other] = order[other], order[one]
    return found


def _length(place: int, order: Sequence[int], weights: Weights) -> float:
    """The ways of what is there, on the ring, times how strong they are."""
    strengths, size = weights[order[place]], len(order)
    return sum(strengths[other] * min(abs(place - at), size - abs(place - at)) for at, other in enumerate(order))
