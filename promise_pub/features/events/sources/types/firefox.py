"""Firefox' history and bookmarks, as its `places.sqlite` has them."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Row

from promise_pub.features.events.sources.types.pages import (
    identity_of,
    text_of,
    url_of,
    whole_number,
    without_empty,
)
from promise_pub.sources import Found, Given, Identity, Renewal, SqliteQuery

# Below, a time is in milliseconds: in microseconds it would be one before 1980, in milliseconds it is one after 9999.
_MILLISECONDS = 3 * 10**14

# It stands between tags in the query, and is no part of one that a person wrote.
_SEPARATOR = "\x1f"


class FirefoxHistory(SqliteQuery):
    """Visits of pages in Firefox, on a computer or, with times in milliseconds, on a phone."""

    name = "firefox.history"
    kind = "visit"
    reads = "places.sqlite of Firefox: visits"
    renewal = Renewal.TEXT
    query = """
        SELECT visit.id, visit.visit_date, visit.visit_type, place.url, place.title
        FROM moz_historyvisits AS visit LEFT JOIN moz_places AS place ON place.id = visit.place_id
        ORDER BY visit.id
    """
    needs = {
        "moz_historyvisits": ("id", "place_id", "visit_date", "visit_type"),
        "moz_places": ("id", "url", "title"),
    }

    def event(self, record: Row, given: Given) -> Found:
        url, raw, visit_type = url_of(record["url"]), whole_number(record["visit_date"]), record["visit_type"]
        return Found(
            at=_at(raw, given),
            text=text_of(record["title"]) or url,
            url=url,
            data={"visit_type": visit_type} if isinstance(visit_type, int) else {},
            identity=identity_of(record["url"], raw),
        )


class FirefoxBookmarks(SqliteQuery):
    """Bookmarks of Firefox, each with its folder and its tags. Folders, separators and what makes the tags are none."""

    name = "firefox.bookmarks"
    kind = "bookmark"
    reads = "places.sqlite of Firefox: bookmarks"
    identity = Identity.ONE
    renewal = Renewal.TEXT
    # A tag is a folder in the folder of tags, with a bookmark of its own for each page. A folder's path is followed upwards
    # for each bookmark, so that it takes no memory; a damaged file may have folders that are within each other.
    query = """
        WITH RECURSIVE
        tag AS MATERIALIZED (
            SELECT folder.id, folder.title
            FROM moz_bookmarks AS folder JOIN moz_bookmarks AS root ON root.id = folder.parent
            WHERE root.guid = 'tags________' AND folder.type = 2
        ),
        tagged AS MATERIALIZED (
            SELECT link.fk, group_concat(tag.title, char(31)) AS tags
            FROM moz_bookmarks AS link JOIN tag ON tag.id = link.parent
            GROUP BY link.fk
        )
        SELECT bookmark.id, bookmark.dateAdded, bookmark.title, place.url, place.title AS page, tagged.tags,
        (
            WITH RECURSIVE above(parent, path, depth) AS (
                SELECT bookmark.parent, '', 0
                UNION ALL
                SELECT folder.parent, substr(coalesce(folder.title, ''), 1, 1000) || '/' || above.path, depth + 1
                FROM above JOIN moz_bookmarks AS folder ON folder.id = above.parent
                WHERE depth < 64
            )
            SELECT path FROM above ORDER BY depth DESC LIMIT 1
        ) AS folder
        FROM moz_bookmarks AS bookmark
        LEFT JOIN moz_places AS place ON place.id = bookmark.fk
        LEFT JOIN tagged ON tagged.fk = bookmark.fk
        WHERE bookmark.type = 1
        AND coalesce(bookmark.parent, 0) NOT IN (
            SELECT id FROM tag UNION ALL SELECT id FROM moz_bookmarks WHERE guid = 'tags________'
        )
        ORDER BY bookmark.id
    """
    needs = {
        "moz_bookmarks": ("id", "type", "fk", "parent", "title", "dateAdded", "guid"),
        "moz_places": ("id", "url", "title"),
    }

    def event(self, record: Row, given: Given) -> Found:
        url, raw = url_of(record["url"]), whole_number(record["dateAdded"])
        return Found(
            at=_at(raw, given),
            text=text_of(record["title"]) or text_of(record["page"]) or url,
            url=url,
            tags=sorted({tag for part in text_of(record["tags"]).split(_SEPARATOR) if (tag := part.strip())}),
            data=without_empty({"folder": "/".join(filter(None, text_of(record["folder"]).split("/")))}),
            identity=identity_of(record["url"], raw),
        )


def _at(raw: int, given: Given) -> datetime:
    return given.epoch(raw, 1_000 if raw < _MILLISECONDS else 1_000_000)
