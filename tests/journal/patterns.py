"""Patterns and topics to try."""

from __future__ import annotations

from hypothesis import strategies as st

SPECIAL = ["", "*", "#", "a", "b", "a*", "##", "*#", "[^.]", "(", ")", "\\", "\\d", "$", "^", "?", "+", "{2}", "|", " ", "-", "é", "\N{CRAB}", "***", "(?i)", "%", "_", "'"]  # fmt: skip

words = st.sampled_from(SPECIAL) | st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="."), max_size=3
)
patterns = st.lists(words, max_size=6).map(".".join)
topics = patterns

NASTY = sorted(
    {
        *SPECIAL,
        *(f"{one}.{other}" for one in SPECIAL[:10] for other in SPECIAL),
        *("a.#.b", "#.a.#", "a.*.b", "*.*", "#.*", "*.#", "..", "...", "a..b", ".a", "a.", "#.#", "*.#.*", "a.#.#.b.*"),
        ".".join(["#", "a"] * 60),
        ".".join("#" * 128),
        ".".join(["#", "*"] * 64),
        ".".join(["#", "a", *"*" * 120]),
        "a" * 255,
        "." * 255,
        "\\" * 255,
    }
)


def matches_naively(pattern: list[str], topic: list[str]) -> bool:
    """The definition, in time without bound."""
    if not pattern:
        return not topic
    if pattern[0] == "#":
        return any(matches_naively(pattern[1:], topic[skipped:]) for skipped in range(len(topic) + 1))
    return bool(topic) and pattern[0] in ("*", topic[0]) and matches_naively(pattern[1:], topic[1:])
