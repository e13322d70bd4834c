"""The faults of a gate's text: where each is, what is wrong, and what was probably meant. Pure."""

from __future__ import annotations

from difflib import get_close_matches

from promise_pub.parameters.gate_kinds import JOINS, NAMES, VERDICTS

_MAX_FAULTS = 20  # that are shown
_BEFORE, _AFTER = 30, 40  # characters of the text that are shown around a fault: a line of a terminal
SHOWN = 30  # characters of a wrong word

# What the report, or another language, calls otherwise.
MEANT = {
    **{name.partition(".")[2]: name for name in NAMES if "." in name},
    "duplicates": "repeats",
    "invalid": "unusable",
    "sent": "confirmed",
    "published": "confirmed",
    "refused": "nacked",
    "&&": "and",
    "||": "or",
    "!": "not",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
}


class Faults:
    """The faults of a text, with their places."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.found: list[tuple[int, str]] = []

    def add(self, start: int, words: str) -> None:
        self.found.append((start, words))

    def describe(self) -> str:
        """Returns how many there are, then for each a line of the text, and a caret below the place."""
        found = sorted(self.found)
        lines = [f"fail_if cannot be read: {len(found)} {'fault' if len(found) == 1 else 'faults'}."]
        for start, words in found[:_MAX_FAULTS]:
            first = max(0, start - _BEFORE)
            head, tail = "…" if first else "", "…" if len(self._text) > start + _AFTER else ""
            shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in self._text)
            lines.append(f"  {head}{shown[first : start + _AFTER]}{tail}")
            lines.append(f"  {' ' * (len(head) + start - first)}^ {words}")
        if len(found) > _MAX_FAULTS:
            lines.append(f"  and {len(found) - _MAX_FAULTS:,} more")
        return "\n".join(lines)


def describe_unknown(word: str) -> str:
    """Returns that there is no such name, and which is the nearest that there is."""
    near = MEANT.get(word.lower()) or next(iter(get_close_matches(word.lower(), (*NAMES, *VERDICTS, *JOINS), 1)), "")
    known = f"did you mean {near}?" if near else f"there are {', '.join(NAMES)}"
    return f"there is no {word[:SHOWN]!r}: {known}"
