"""Line ends among bytes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.delivery.input.lines import after_line_end, find_line_end

PIECES = st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"b" * 255, b"c" * 256, b"d" * 3_000])
DATA = st.lists(PIECES, max_size=12).map(b"".join)


class Watched(bytearray):
    """Bytes that tell how many of them may have been looked at by searches."""

    looked_at = 0

    def find(self, sought: bytes, start: int, stop: int) -> int:  # type: ignore[override]
        self.looked_at += stop - start
        return super().find(sought, start, stop)


@given(DATA, st.integers(0, 1_000))
def test_the_first_line_end_is_found_wherever_it_is(data: bytes, start: int) -> None:
    expected = re.compile(rb"\r\n?|\n").search(data, start)
    found = find_line_end(data, start)
    if expected is None:
        assert found == -1
    else:
        assert (found, after_line_end(data, found)) == expected.span()


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("length", [0, 1, 255, 256, 257, 100_000])
def test_no_more_than_a_few_lengths_of_the_line_is_looked_at(line_end: bytes, length: int) -> None:
    data = Watched(b"x" * length + line_end + b"y" * 1_000_000)
    assert find_line_end(data, 0) == length
    assert data.looked_at <= 6 * max(256, length)
