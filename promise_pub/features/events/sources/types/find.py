"""Files as `find` lists them, at the times at which they were changed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from promise_pub.sources import Found, Given, Lines

_ENDS = {"newline": b"\n", "nul": b"\0"}


class FindOutput(Lines):
    r"""The output of `find -printf '%T@\t%s\t%u\t%Y\t%p\n'`, or with `\0` at its end for names that have line ends."""

    name = "find"
    kind = "file"
    reads = r"find -printf '%T@\t%s\t%u\t%Y\t%p\n'"
    knows = {"ends": "how a file's line ends: newline (the default) or nul"}
    record = re.compile(
        rb"(?P<at>[0-9.]+)\t(?P<size>[0-9]+)\t(?P<user>[^\t\n]+)\t(?P<type>[^\t\n])\t(?P<path>.+)", re.DOTALL
    )

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        super().__init__(options or {})
        ends = (options or {}).get("ends", "newline")
        if ends not in _ENDS:
            raise ValueError(f"ends must be newline or nul, not {ends!r}")
        self.ends = _ENDS[ends]

    def event(self, record: re.Match[bytes], given: Given) -> Found:
        return Found(
            at=given.epoch(given.text(record["at"])),
            text=given.text(record["path"]),
            user=given.text(record["user"]),
            data={"size": int(record["size"]), "type": given.text(record["type"])},
        )
