"""Chains as text: the whole drawing, as wide as it likes."""

from __future__ import annotations

from promise_pub.features.visits.render.text import draw_text
from tests.visits.walks import ALL, ONE, text, walked

MANY = [*["/ exit"] * 4, *["/ /runs / exit"] * 2, "/ / exit", "/ /help /runs/{id} exit"]


def test_nobody_has_come_yet() -> None:
    assert draw_text(walked(), ONE, None) == text("""
        Transitions for session 00000000-0000-0000-0000-000000000001:

        No hits yet.
        """)


def test_one_hit_of_a_session_that_ended() -> None:
    assert draw_text(walked("/ exit"), ONE, None) == text("""
        Transitions for session 00000000-0000-0000-0000-000000000001:

        +---+                +------+
        | / | --- 100 % ---> | exit |
        +---+                +------+
        """)


def test_one_hit_of_a_session_that_goes_is_a_box_alone() -> None:
    assert draw_text(walked("/"), ONE, None) == text("""
        Transitions for session 00000000-0000-0000-0000-000000000001:

        +---+
        | / |
        +---+
        """)


def test_a_page_stands_beside_its_first_target_alone() -> None:
    assert draw_text(walked("/ exit", "/ exit", "/ /runs / exit"), ONE, None) == text("""
        Transitions for session 00000000-0000-0000-0000-000000000001:

        +---+                    +------+
        | / |     ---  75 % ---> | exit |
        +---+                    +------+

                                 +-------+
                  ---  25 % ---> | /runs |
                                 +-------+

        +-------+                +---+
        | /runs | --- 100 % ---> | / |
        +-------+                +---+
        """)


def test_the_same_page_again_is_a_target_as_others_are() -> None:
    assert draw_text(walked("/ / / exit"), ONE, None) == text("""
        Transitions for session 00000000-0000-0000-0000-000000000001:

        +---+                +---+
        | / | ---  67 % ---> | / |
        +---+                +---+

                             +------+
              ---  33 % ---> | exit |
                             +------+
        """)


def test_many_targets_of_many_pages() -> None:
    assert draw_text(walked(*MANY), ALL, None) == text("""
        Transitions for all sessions:

        +---+                         +------+
        | / |          ---  64 % ---> | exit |
        +---+                         +------+

                                      +-------+
                       ---  18 % ---> | /runs |
                                      +-------+

                                      +---+
                       ---   9 % ---> | / |
                                      +---+

                                      +-------+
                       ---   9 % ---> | /help |
                                      +-------+

        +-------+                     +---+
        | /runs |      --- 100 % ---> | / |
        +-------+                     +---+

        +-------+                     +------------+
        | /help |      --- 100 % ---> | /runs/{id} |
        +-------+                     +------------+

        +------------+                +------+
        | /runs/{id} | --- 100 % ---> | exit |
        +------------+                +------+
        """)


def test_what_is_there_is_not_nothing_and_what_is_not_all_is_not_all() -> None:
    assert draw_text(walked(*["/ exit"] * 250, "/ /runs exit"), ALL, None) == text("""
        Transitions for all sessions:

        +---+                    +------+
        | / |     --- >99 % ---> | exit |
        +---+                    +------+

                                 +-------+
                  ---  <1 % ---> | /runs |
                                 +-------+

        +-------+                +------+
        | /runs | --- 100 % ---> | exit |
        +-------+                +------+
        """)


def test_wide_characters_take_their_room() -> None:
    assert draw_text(walked("/runs/{id} /日本語 /e\u0301 exit"), ALL, None) == text("""
        Transitions for all sessions:

        +----+                        +------+
        | /é |         --- 100 % ---> | exit |
        +----+                        +------+

        +------------+                +---------+
        | /runs/{id} | --- 100 % ---> | /日本語 |
        +------------+                +---------+

        +---------+                   +----+
        | /日本語 |    --- 100 % ---> | /é |
        +---------+                   +----+
        """)


def test_a_page_neither_breaks_a_line_nor_drives_a_terminal() -> None:
    assert draw_text(walked("/\x1b[2J /\u202e\udcff exit", "/\\x1b[2J"), ALL, None) == text(r"""
        Transitions for all sessions:

        +----------+                     +---------------+
        | /\x1b[2J |      --- 100 % ---> | /\u202e\udcff |
        +----------+                     +---------------+

        +-----------+
        | /\\x1b[2J |
        +-----------+

        +---------------+                +------+
        | /\u202e\udcff | --- 100 % ---> | exit |
        +---------------+                +------+
        """)


def test_a_title_neither_breaks_a_line_nor_drives_a_terminal() -> None:
    assert draw_text(walked(), "of \x1b[2J\n", None).splitlines()[0] == r"of \x1b[2J\n"
