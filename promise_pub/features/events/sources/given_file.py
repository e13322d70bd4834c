"""A file as its type may know it beside its records: its encoding, its times, the user that it is about."""

from __future__ import annotations

import codecs
from datetime import datetime
from zoneinfo import ZoneInfo

from promise_pub.features.events.sources.clocks import FileClock
from promise_pub.text import storable

_REPLACED = "\N{REPLACEMENT CHARACTER}"


class GivenFile(FileClock):
    """A file that is read with this clock. `repaired` counts texts of it that could not be read, or not be stored, in full.

    Raises LookupError for an encoding that is none.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        modified: datetime,
        encoding: str = "utf-8",
        user: str | None = None,
        year: int | None = None,
        state: dict[str, object] | None = None,
    ) -> None:
        super().__init__(zone, year, state)
        self.modified = modified.astimezone(zone)
        self.user = user
        self.repaired = 0
        self._decode = codecs.lookup(encoding).decode

    def text(self, raw: bytes | None) -> str:
        if not raw:
            return ""
        text = storable(self._decode(raw, "replace")[0])
        # What was written as a replacement already was repaired by others, and is counted all the same.
        self.repaired += _REPLACED in text
        return text
