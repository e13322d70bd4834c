"""Bookmarks in files that browsers and sites export: HTML as Netscape made it, and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from promise_pub.features.events.sources.types.html_stream import Attributes, HtmlStream, first_values, line_of
from promise_pub.features.events.sources.types.pages import (
    find_leaves,
    folder_within,
    identity_of,
    read_json,
    since_1970,
    text_of,
    url_of,
    whole_number,
    without_empty,
)
from promise_pub.sources import Damaged, Found, Given, Identity, Ignored, Renewal, Whole, WrongType

Bookmark = dict[str, Any]

MAX_FOLDERS = 100
"""Folders within each other."""

_PRIVATE = {"1": True, "True": True, "0": False, "False": False}

# Names of the same thing in Firefox' backup, in lists of Delicious' bookmarks, and in what its interface answered.
_URLS = ("uri", "url", "href")
_TIMES = ("dateAdded", "date", "time", "add_date")
_TITLES = ("title", "description")
_COMMENTS = ("comment", "extended")
_NONE = {"text/x-moz-place-container": "folder", "text/x-moz-place-separator": "separator"}


class BookmarksHtml(Whole[Bookmark]):
    """Bookmarks in a list of HTML, as all browsers, Delicious and Pinboard export them, with folders or tags."""

    name = "bookmarks.html"
    aliases = ("delicious.bookmarks",)
    kind = "bookmark"
    reads = "bookmarks as HTML, as browsers and Delicious export them"
    identity = Identity.ONE
    renewal = Renewal.TEXT

    def records(self, content: bytes, given: Given) -> Iterator[Bookmark]:
        bookmarks = _BookmarkStream()
        yield from bookmarks.read(given.text(content))
        if not bookmarks.is_list:
            raise WrongType("It has no list of bookmarks.")

    def event(self, record: Bookmark, given: Given) -> Found:
        url, raw = url_of(record["url"]), record["add_date"]
        return Found(
            at=since_1970(whole_number(raw), given),
            text=text_of(record["title"]) or url,
            url=url,
            tags=_public_tags(record["tags"].split(",")),
            data=_data_of(record["folder"], _PRIVATE.get(record["private"]), record["comment"]),
            identity=identity_of(record["url"], raw),
        )


class BookmarksJson(Whole[Bookmark]):
    """Bookmarks in Firefox' backup, with its folders, or in a list of objects."""

    name = "bookmarks.json"
    kind = "bookmark"
    reads = "bookmarks as JSON: a backup of Firefox, or a list of objects"
    identity = Identity.ONE
    renewal = Renewal.TEXT

    def records(self, content: bytes, given: Given) -> Iterator[Bookmark]:
        value = read_json(content, given)
        if isinstance(value, dict):
            value = value.get("children")
        if not isinstance(value, list):
            raise WrongType("It is neither a list of bookmarks nor a folder with children.")
        # Until 2016 backups had each tag as a folder in one for all, with a bookmark for each of its pages.
        links = find_leaves("", [tag for node in value if _is_of_tags(node) for tag in _children_of(node)], "title")
        tags: dict[str, list[str]] = {}
        for link in links:
            if isinstance(uri := link.get("uri"), str):
                tags.setdefault(uri, []).append(link["folder"])
        for node in find_leaves("", [node for node in value if not _is_of_tags(node)], "title"):
            uri = node.get("uri")
            yield {**node, "tags": tags[uri]} if isinstance(uri, str) and uri in tags else node

    def event(self, record: Bookmark, given: Given) -> Found | Ignored:
        if isinstance(type := record.get("type"), str) and type in _NONE:
            return Ignored(_NONE[type])
        raw_url, raw_time = _first_of(record, _URLS), _first_of(record, _TIMES)
        url = url_of(raw_url)
        is_private = (
            record.get("shared") == "no" if "shared" in record else _PRIVATE.get(str(record.get("private"))[:9])
        )
        return Found(
            at=_time_of(raw_time, given),
            text=text_of(_first_of(record, _TITLES)) or url,
            url=url,
            tags=_public_tags(_tags_of(record)),
            data=_data_of(record["folder"], is_private, text_of(_first_of(record, _COMMENTS))),
            identity=identity_of(raw_url, raw_time),
        )


class _BookmarkStream(HtmlStream[Bookmark]):
    """Bookmarks of a file of HTML. Nothing but the paths of the folders around it is kept from one to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.is_list = False
        self._folders: list[str] = []
        self._heading: list[str] = []
        self._bookmark: Bookmark | None = None
        self._title: list[str] = []
        self._comment: list[str] = []
        self._into: list[str] | None = None

    def handle_decl(self, decl: str) -> None:
        self.is_list |= "netscape-bookmark-file" in decl.lower()

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        if tag == "dd":
            self._into = self._comment if self._bookmark is not None else None
        elif tag in ("a", "dt", "dl", "h3"):
            self.finish()
            if tag == "a":
                self._begin(attrs)
            elif tag == "h3":
                self._into = self._heading = []
            elif tag == "dl":
                self._enter()

    def handle_endtag(self, tag: str) -> None:
        if tag in ("a", "h3"):
            self._into = None
        elif tag == "dl":
            self.finish()
            del self._folders[-1:]

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into.append(data)

    def finish(self) -> None:
        if self._bookmark is not None:
            self.found.append({**self._bookmark, "title": line_of(self._title), "comment": line_of(self._comment)})
        self._bookmark = self._into = None

    def _begin(self, attrs: Attributes) -> None:
        if not self.is_list:
            # A link of some other page is no bookmark.
            return
        values = first_values(attrs)
        told = {name: values.get(name, "").strip() for name in ("add_date", "private", "tags")}
        self._bookmark = {"url": values.get("href", ""), **told, "folder": self._folders[-1] if self._folders else ""}
        self._title, self._comment = [], []
        self._into = self._title

    def _enter(self) -> None:
        self.is_list = True
        if len(self._folders) == MAX_FOLDERS:
            raise Damaged(f"Its folders are nested more than {MAX_FOLDERS} deep.")
        self._folders.append(folder_within(self._folders[-1] if self._folders else "", line_of(self._heading)))
        self._heading = []


def _public_tags(tags: list[Any]) -> list[str]:
    """Returns tags without those that sent a bookmark to another user, each once."""
    told = (text_of(tag) for tag in tags)
    return [*dict.fromkeys(tag for tag in told if tag and not tag.startswith("for:"))]


def _data_of(folder: str, is_private: bool | None, comment: str) -> dict[str, Any]:
    return without_empty({"folder": folder, "private": is_private, "comment": comment})


def _first_of(record: Bookmark, names: tuple[str, ...]) -> Any:
    return next((value for name in names if (value := record.get(name)) is not None), None)


def _tags_of(record: Bookmark) -> list[Any]:
    tags = record.get("tags")
    if isinstance(tags, str):
        # What Delicious' interface answered names a page `href`, and has blanks between tags.
        return tags.split() if "href" in record else tags.split(",")
    return tags if isinstance(tags, list) else []


def _time_of(raw: Any, given: Given) -> datetime:
    if isinstance(raw, str) and raw and not raw.isdecimal():
        return given.moment(raw)
    return since_1970(whole_number(raw), given)


def _is_of_tags(node: Any) -> bool:
    return isinstance(node, dict) and node.get("root") == "tagsFolder"


def _children_of(node: Bookmark) -> list[Any]:
    children = node.get("children")
    return children if isinstance(children, list) else []
