"""Failures of plugins in words that can be stored and shown. Pure."""

from __future__ import annotations

from promise_pub.text import printable

MAX_LINE = 300  # characters


def failure_line(error: BaseException) -> str:
    """Returns the kind of an error and what it says, in one line that is bounded and printable, whatever it is."""
    try:
        said = str(error)[:MAX_LINE]
    except BaseException as worse:  # noqa: BLE001  a plugin's error can fail at that, too
        said = f"it cannot be told, for {type(worse).__name__[:MAX_LINE]}"
    kind = type(error).__name__[:MAX_LINE]
    return bounded_line(f"{kind}: {said}" if said else kind)


def bounded_line(text: str) -> str:
    """Returns the beginning of a text as one printable line."""
    line = printable(text[:MAX_LINE])
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"
