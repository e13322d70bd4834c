"""Text of others on terminals."""

from __future__ import annotations

import pytest

from promise_pub.presentation.terminal_text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ünïcode 😀.csv", "Ünïcode 😀.csv"),
        ("[red]\x1b[2J\u202e\n.csv", r"[red]\x1b[2J\u202e\n.csv"),
        ("caf\udce9", r"caf\udce9"),
        (r"C:\data", r"C:\data"),
    ],
)
def test_unprintable_characters_are_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert shown.isprintable()
