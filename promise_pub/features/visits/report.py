"""Reports of visits for pages, API and commands: sessions, and transitions between pages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from promise_pub.addresses import Address
from promise_pub.features.visits.chains import Chains
from promise_pub.features.visits.hits import format_time

SESSION_COLUMNS = (
    "session_id",
    "first",
    "last",
    "hits",
    "pages",
    "ended",
    "ip",
    "user_agent",
)
TRANSITION_COLUMNS = ("from", "to", "count", "probability")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """One session: `pages` counts different pages; address and user agent are those of its last hit."""

    session_id: UUID
    first: datetime
    last: datetime
    hits: int
    pages: int
    ended: bool
    ip: Address | None
    user_agent: str | None

    def row(self) -> list[object]:
        """Returns the values in the order of SESSION_COLUMNS."""
        return [
            str(self.session_id),
            format_time(self.first),
            format_time(self.last),
            self.hits,
            self.pages,
            self.ended,
            str(self.ip) if self.ip else None,
            self.user_agent,
        ]

    def as_json(self) -> dict[str, Any]:
        return dict(zip(SESSION_COLUMNS, self.row(), strict=True))


@dataclass(frozen=True, slots=True)
class PageFigures:
    """Figures of one page.

    `share` is the part of all hits. `until_exit` is the expected number of pages until the exit, this one included;
    None where no visitor left by any way from there.
    """

    page: str
    hits: int
    entries: int
    share: float
    until_exit: float | None


@dataclass(frozen=True, slots=True)
class Transitions:
    """The transitions of one session or of all. With `since` earlier hits do not count."""

    chains: Chains
    session: UUID | None = None
    since: datetime | None = None

    @property
    def title(self) -> str:
        of = f"session {self.session}" if self.session else "all sessions"
        since = f" since {self.since:%Y-%m-%d %H:%M} UTC" if self.since else ""
        return f"Transitions for {of}{since}:"

    def pages(self) -> list[PageFigures]:
        """Returns the pages by hits, most first."""
        shares, until_exit = self.chains.shares(), self.chains.pages_until_exit()
        nodes = self.chains.graph.nodes
        return [
            PageFigures(page, nodes[page]["hits"], nodes[page]["entries"], shares[page], until_exit[page])
            for page in self.chains.pages()
        ]

    def rows(self) -> list[Sequence[object]]:
        """Returns every transition in the order of TRANSITION_COLUMNS."""
        return [
            (page, target.page, target.count, round(target.probability, 6))
            for page in self.chains.pages()
            for target in self.chains.targets(page)
        ]

    def as_json(self) -> dict[str, Any]:
        chains = self.chains
        return {
            "session_id": self.session and str(self.session),
            "since": self.since and format_time(self.since),
            "sessions": chains.sessions,
            "ended": chains.ended,
            "hits": chains.hits,
            "bounces": chains.bounces,
            "bounce_rate": _rounded(chains.bounce_rate),
            "pages": [
                {
                    "page": page.page,
                    "hits": page.hits,
                    "entries": page.entries,
                    "share": _rounded(page.share),
                    "pages_until_exit": _rounded(page.until_exit),
                }
                for page in self.pages()
            ],
            "transitions": [dict(zip(TRANSITION_COLUMNS, row, strict=True)) for row in self.rows()],
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
