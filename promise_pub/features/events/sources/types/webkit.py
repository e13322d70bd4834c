"""History and bookmarks of Chrome, Chromium and their kin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from sqlite3 import Row
from typing import Any

from promise_pub.features.events.sources.types.pages import (
    find_leaves,
    folder_within,
    identity_of,
    read_json,
    text_of,
    url_of,
    whole_number,
    without_empty,
)
from promise_pub.sources import Found, Given, Identity, Ignored, NoRecord, Renewal, SqliteQuery, Whole, WrongType

_FROM_1601 = 11_644_473_600 * 1_000_000  # microseconds from 1601 to 1970

# The bits above tell about redirects, and whether it was typed or came by the keys for back and forward.
_CORE = 0xFF


class WebkitHistory(SqliteQuery):
    """Visits of pages in Chrome."""

    name = "webkit.history"
    kind = "visit"
    reads = "History of Chrome: visits"
    renewal = Renewal.TEXT
    query = """
        SELECT visits.id, visits.visit_time, visits.transition, urls.url, urls.title
        FROM visits LEFT JOIN urls ON urls.id = visits.url
        ORDER BY visits.id
    """
    needs = {"visits": ("id", "url", "visit_time", "transition"), "urls": ("id", "url", "title")}

    def event(self, record: Row, given: Given) -> Found:
        url, raw, transition = url_of(record["url"]), whole_number(record["visit_time"]), record["transition"]
        return Found(
            at=_at(raw, given),
            text=text_of(record["title"]) or url,
            url=url,
            data={"transition": transition & _CORE} if isinstance(transition, int) else {},
            identity=identity_of(record["url"], raw),
        )


class WebkitBookmarks(Whole[dict[str, Any]]):
    """Bookmarks of Chrome, each with its folder, from all of its roots."""

    name = "webkit.bookmarks"
    kind = "bookmark"
    reads = "Bookmarks of Chrome"
    identity = Identity.ONE
    renewal = Renewal.TEXT

    def records(self, content: bytes, given: Given) -> Iterator[dict[str, Any]]:
        value = read_json(content, given)
        if not isinstance(value, dict) or not isinstance(roots := value.get("roots"), dict):
            raise WrongType("It has no roots of bookmarks.")
        for name, root in roots.items():
            # Beside the roots there is a number of their last synchronisation.
            if isinstance(root, dict) and isinstance(children := root.get("children"), list):
                yield from find_leaves(folder_within("", name), children, "name")

    def event(self, record: dict[str, Any], given: Given) -> Found | Ignored:
        if record.get("type") == "folder":
            return Ignored("folder")
        if record.get("type") != "url":
            raise NoRecord("it is neither a bookmark nor a folder")
        url, raw = url_of(record.get("url")), whole_number(record.get("date_added"))
        return Found(
            at=_at(raw, given),
            text=text_of(record.get("name")) or url,
            url=url,
            data=without_empty({"folder": record["folder"]}),
            identity=identity_of(record["url"], raw),
        )


def _at(raw: int, given: Given) -> datetime:
    return given.epoch(raw - _FROM_1601, 1_000_000)
