"""Text of others on terminals and pages."""

from __future__ import annotations

import pytest

from promise_pub.text import printable, storable, unmasked


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ünïcode 😀\tand\nlines\r\n", "Ünïcode 😀\tand\nlines\r\n"),
        ("a\x1b[2J\x07\x00\x85\u202e\u2069b", r"a\x1b[2J\x07\x00\x85\u202e\u2069b"),
        ("over\rwritten\r", r"over\rwritten\r"),
        ("caf\udce9", r"caf\udce9"),
        ("می\u200cخواهم \u200f👩\u200d🔬", "می\u200cخواهم \u200f👩\u200d🔬"),
    ],
)
def test_only_what_drives_a_terminal_or_turns_the_writing_becomes_escapes(text: str, shown: str) -> None:
    assert unmasked(text) == shown


@pytest.mark.parametrize(
    ("text", "stored"),
    [("plain", "plain"), ("a\0", "a\ufffd"), ("é\0", "é\ufffd"), ("\ud800é", "?é"), ("\N{CRAB}", "\N{CRAB}"), ("", "")],
)
def test_text_keeps_all_that_the_database_can_store(text: str, stored: str) -> None:
    assert storable(text) == stored
