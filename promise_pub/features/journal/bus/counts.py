"""Counts of the bus, since the start of a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BusCounts:
    """Messages that were taken and what became of them: `added`, `known`, `refused` by the database, or `own`: those that
    came back to the journal that had published them.

    Some had no message id, a body that was too long, or headers that could not be read (`without_id`, `cut`,
    `headers_cut`); such a message is counted each time that it is delivered.
    """

    taken: int = 0
    added: int = 0
    known: int = 0
    refused: int = 0
    own: int = 0
    without_id: int = 0
    cut: int = 0
    headers_cut: int = 0
