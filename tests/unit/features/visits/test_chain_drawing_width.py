"""Chains as text in little room: the whole drawing, at several widths."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from promise_pub.features.visits.render.text import draw_text
from tests.visits.walks import ALL, ONE, text, walked

LONG = walked("/ /runs/{id}/history/{number} /help exit", "/ exit")


def test_the_longest_label_gives_way_first() -> None:
    assert draw_text(LONG, ONE, 70) == text("""
        Transitions for session 00000000-0000-0000-0000-000000000001:

        +---+                                      +-------------------------+
        | / |                       ---  50 % ---> | /runs/{id}...y/{number} |
        +---+                                      +-------------------------+

                                                   +------+
                                    ---  50 % ---> | exit |
                                                   +------+

        +-------+                                  +------+
        | /help |                   --- 100 % ---> | exit |
        +-------+                                  +------+

        +-------------------------+                +-------+
        | /runs/{id}...y/{number} | --- 100 % ---> | /help |
        +-------------------------+                +-------+
        """)


def test_at_sixty_columns() -> None:
    assert draw_text(LONG, ONE, 60) == text("""
        Transitions for session
        00000000-0000-0000-0000-000000000001:

        +---+                                 +--------------------+
        | / |                  ---  50 % ---> | /runs/{i...number} |
        +---+                                 +--------------------+

                                              +------+
                               ---  50 % ---> | exit |
                                              +------+

        +-------+                             +------+
        | /help |              --- 100 % ---> | exit |
        +-------+                             +------+

        +--------------------+                +-------+
        | /runs/{i...number} | --- 100 % ---> | /help |
        +--------------------+                +-------+
        """)


def test_at_forty_columns_all_boxes_are_whole() -> None:
    assert draw_text(LONG, ONE, 40) == text("""
        Transitions for session
        00000000-0000-0000-0000-000000000001:

        +---+                       +----------+
        | / |        ---  50 % ---> | /ru...r} |
        +---+                       +----------+

                                    +------+
                     ---  50 % ---> | exit |
                                    +------+

        +-------+                   +------+
        | /help |    --- 100 % ---> | exit |
        +-------+                   +------+

        +----------+                +-------+
        | /ru...r} | --- 100 % ---> | /help |
        +----------+                +-------+
        """)


def test_at_twenty_columns_lines_are_cut_but_for_the_title() -> None:
    assert draw_text(LONG, ONE, 20) == text("""
        Transitions for
        session 00000000-000
        0-0000-0000-00000000
        0001:

        +---+
        | / |     ---  50 %
        +---+


                  ---  50 %


        +-------+
        | /help | --- 100 %
        +-------+

        +-------+
        | /...} | --- 100 %
        +-------+
        """)


@pytest.mark.parametrize("width", [78, 79, 200])
def test_with_room_for_all_nothing_is_shortened(width: int) -> None:
    assert draw_text(LONG, ONE, width) == draw_text(LONG, ONE, None)
    assert max(map(cell_len, draw_text(LONG, ONE, None).splitlines())) == 78
    assert "..." in draw_text(LONG, ONE, 77)


def test_two_long_columns_give_way_alike() -> None:
    assert draw_text(walked("/compare/{first}/{second} /compare/{first}/{third} exit"), ALL, 58) == text("""
        Transitions for all sessions:

        +-------------------+                +-------------------+
        | /compar...second} | --- 100 % ---> | /compar...{third} |
        +-------------------+                +-------------------+

        +-------------------+                +------+
        | /compar...{third} | --- 100 % ---> | exit |
        +-------------------+                +------+
        """)


def test_of_a_wide_character_half_is_nothing() -> None:
    assert draw_text(walked("/日本語日本語 /日本語日本語 exit"), ALL, 44) == text("""
        Transitions for all sessions:

        +----------+                +----------+
        | /日...語 | ---  50 % ---> | /日...語 |
        +----------+                +----------+

                                    +------+
                     ---  50 % ---> | exit |
                                    +------+
        """)


def test_accents_of_their_own_take_no_column() -> None:
    chains = walked("/" + "e\u0301" * 20)
    assert draw_text(chains, ALL, 29) == draw_text(chains, ALL, None)


def test_a_page_without_arrows_has_the_whole_width() -> None:
    assert draw_text(walked("/runs/{id}/history/{number}"), ALL, 30) == text("""
        Transitions for all sessions:

        +----------------------------+
        | /runs/{id}/h...ry/{number} |
        +----------------------------+
        """)


def test_a_title_goes_on_in_the_next_line_whatever_its_characters_take() -> None:
    assert draw_text(walked(), "of 日本語日本語 alone:", 9) == text("""
        of 日本語
        日本語
        alone:

        No hits y
        """)


@pytest.mark.parametrize("width", [40, None])
def test_a_title_may_be_empty(width: int | None) -> None:
    assert draw_text(walked(), "", width) == "\n\nNo hits yet.\n"
