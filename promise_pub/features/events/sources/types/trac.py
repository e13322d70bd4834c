"""Timelines of Trac, as its pages show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from promise_pub.features.events.sources.types.html_stream import Attributes, HtmlStream, first_values, line_of
from promise_pub.features.events.sources.types.pages import without_empty
from promise_pub.sources import Found, Given, Ignored, NoRecord, Renewal, Whole, WrongType

Entry = dict[str, str]

_DAYS = ("%m/%d/%y", "%Y-%m-%d", "%b %d, %Y")
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
_MAX_TIME = 40  # characters
_BEFORE_CHANGED = {"today": timedelta(0), "yesterday": timedelta(days=1)}


class TracTimeline(Whole[Entry]):
    """A page of Trac's timeline, since its version 0.11. Where the source is about a user, the entries of others are ignored.

    A day that is called Today or Yesterday alone is taken from the time at which the file was changed last, which the data of
    its events say.
    """

    name = "trac.timelines"
    aliases = ("trac.timeline",)
    kind = "log"
    reads = "a page of Trac's timeline"
    renewal = Renewal.TEXT

    def records(self, content: bytes, given: Given) -> Iterator[Entry]:
        entries = _TimelineStream()
        yield from entries.read(given.text(content))
        if not entries.is_timeline:
            raise WrongType("It has no timeline of Trac.")

    def event(self, record: Entry, given: Given) -> Found | Ignored:
        if given.user and record["author"] != given.user:
            return Ignored("of another user")
        if not record["time"]:
            raise NoRecord("it has no time")
        # The day goes on with ": Today" as long as it is.
        day = record["day"].partition(":")[0].strip()
        before = _BEFORE_CHANGED.get(day.lower())
        told = _parsed(day, _DAYS).date() if before is None else given.modified.date() - before
        what = record["class"]
        return Found(
            at=given.at(datetime.combine(told, _parsed(record["time"], _TIMES).time())),
            text=record["text"] or record["url"],
            url=record["url"] or None,
            kind="commit" if what == "changeset" else None,
            user=record["author"] or None,
            data=without_empty(
                {"class": what, "description": record["description"], "day": "" if before is None else day}
            ),
            identity=_identity_of(record, day if before is None else told),
        )


class _TimelineStream(HtmlStream[Entry]):
    """Entries of a timeline. It does not matter whether their tags are closed: each ends where the next begins."""

    def __init__(self) -> None:
        super().__init__()
        self.is_timeline = False
        self._day: list[str] = []
        self._entry: Entry | None = None
        self._parts: dict[str, list[str]] = {}
        self._into: Sequence[list[str]] = ()

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        values = first_values(attrs)
        classes = values.get("class", "").split()
        self.is_timeline |= "timeline" in classes
        if tag == "h2":
            self.finish()
            self._day = []
            self._into = (self._day,)
        elif tag == "dt":
            self.finish()
            self._entry = {"day": line_of(self._day), "class": classes[0] if classes else "", "url": ""}
            self._parts = {name: [] for name in ("time", "author", "text", "description")}
            self._into = (self._parts["text"],)
        elif self._entry is not None:
            self._go_on(self._entry, tag, classes, values.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("h2", "dt", "dd"):
            self._into = ()
        elif tag == "span" and self._into and self._entry is not None and not self._is_description():
            self._into = (self._parts["text"],)

    def handle_data(self, data: str) -> None:
        for parts in self._into:
            parts.append(data)

    def finish(self) -> None:
        if self._entry is not None:
            self.is_timeline |= bool(self._parts["time"])
            if self.is_timeline:
                self.found.append(self._entry | {name: line_of(parts) for name, parts in self._parts.items()})
        self._entry, self._into = None, ()

    def _go_on(self, entry: Entry, tag: str, classes: Sequence[str], href: str) -> None:
        parts = self._parts
        if tag == "dd":
            self._into = (parts["description"],)
        elif not self._into or self._is_description():
            # A link or a name in a description, or behind the entry, is none of the entry's own.
            return
        elif tag == "a" and not entry["url"]:
            entry["url"] = href.strip()
        elif tag == "span" and "time" in classes:
            self._into = (parts["time"],)
        elif tag == "span" and any(one == "author" or one.startswith("trac-author") for one in classes):
            self._into = (parts["author"], parts["text"])

    def _is_description(self) -> bool:
        return self._into[0] is self._parts["description"]


def _parsed(text: str, formats: Sequence[str]) -> datetime:
    for form in formats if len(text) <= _MAX_TIME else ():
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007  its zone is that of the file
        except ValueError:
            continue
    raise NoRecord(f"{text[:_MAX_TIME]!r} is neither a day nor a time of a timeline")


def _identity_of(entry: Entry, day: str | date) -> bytes:
    """Returns the identity of an entry. Its words may change: those of a ticket do with its summary."""
    return "\n".join((str(day), entry["time"], entry["class"], entry["url"] or entry["text"])).encode()
