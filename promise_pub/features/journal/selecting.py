"""Questions to the journal as people write them: in an address, or as options of a command. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args
from urllib.parse import urlencode

from promise_pub.errors import BadParameter
from promise_pub.event_records import Source
from promise_pub.features.journal.ports import EventPage, Selection
from promise_pub.http.pagination import parse_positive
from promise_pub.spans import parse_since
from promise_pub.topics import check_pattern

LIMIT, MAX_LIMIT = 100, 1000  # events of a page
MAX_SEQ = 2**63 - 1
MAX_TEXT = 255  # characters of a sender or a subject that is looked for
SOURCES: tuple[Source, ...] = get_args(Source)
PARAMETERS = ("after", "before", "limit", "topic", "sender", "subject", "source", "since", "until", "format")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, with the parameters as they were written, but for those that were left empty."""

    selection: Selection
    given: Mapping[str, str]

    @property
    def filtered(self) -> bool:
        return not self.given.keys() <= {"after", "before", "limit", "format"}

    def url(self, **more: object) -> str:
        """Returns the address with these parameters, and `more`; None leaves one out."""
        query = urlencode({name: value for name, value in {**self.given, **more}.items() if value is not None})
        return f"/journal?{query}" if query else "/journal"

    def links(self, page: EventPage) -> dict[str, str]:
        """Returns the addresses that go on: `next` in the order of the page, `prev` the other way, where there are any."""
        after, before = self.selection.after, self.selection.before
        onward: dict[str, int | None]
        if after is not None:
            back = {"after": None, "before": min(after, page.newest) + 1} if after >= page.oldest else None
            onward = {"after": page.next}
        else:
            back = {"after": before - 1, "before": None} if before is not None and before <= page.newest else None
            onward = {"before": page.next}
        return {
            **({"prev": self.url(**back)} if back else {}),
            **({"next": self.url(**onward)} if page.next is not None else {}),
        }


def parse_asked(given: Mapping[str, str], now: datetime) -> Asked:
    """Reads the parameters of a request. Raises BadParameter."""
    given = {name: value for name, value in given.items() if value}
    if "after" in given and "before" in given:
        raise BadParameter("after and before cannot be given together.")
    filters = parse_filters(given, now)
    limit = parse_positive(given, "limit", LIMIT, MAX_LIMIT)
    after, before = _parse_seq(given, "after", 0), _parse_seq(given, "before", 1)
    return Asked(replace(filters, limit=limit, after=after, before=before), given)


def parse_filters(given: Mapping[str, str], now: datetime, named: Callable[[str], str] = str) -> Selection:
    """Reads which events are asked for; `named` makes of a parameter's name what messages call it. Raises BadParameter."""
    source = next((one for one in SOURCES if one == given.get("source")), None)
    if source is None and given.get("source"):
        raise BadParameter(f"{named('source')} must be one of {', '.join(SOURCES)}, not {given['source'][:50]!r}.")
    since = parse_since(given.get("since", ""), now, named("since"))
    until = parse_since(given.get("until", ""), now, named("until"))
    if since and until and since >= until:
        raise BadParameter(f"{named('since')} must be before {named('until')}.")
    return Selection(
        topic=check_pattern(given["topic"]) if given.get("topic") else None,
        sender=_parse_text(given.get("sender"), named("sender")),
        subject=_parse_text(given.get("subject"), named("subject")),
        source=source,
        since=since,
        until=until,
    )


def _parse_seq(given: Mapping[str, str], name: str, least: int) -> int | None:
    if name not in given:
        return None
    text = given[name]
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= MAX_SEQ):
        raise BadParameter(f"{name} must be the number of an event, from {least} on, not {text[:50]!r}.")
    return int(text)


def _parse_text(text: str | None, name: str) -> str | None:
    if text and (len(text) > MAX_TEXT or "\0" in text or any("\ud800" <= c <= "\udfff" for c in text)):
        raise BadParameter(f"{name} must be a text of at most {MAX_TEXT} characters, not {text[:50]!r}.")
    return text or None
