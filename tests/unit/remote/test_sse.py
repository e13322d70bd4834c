"""Server-sent events out of odd streams: cut anywhere, with every kind of line end, and with what is nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.remote import sse
from promise_pub.remote.sse import Event, EventReader

STREAM = (
    "\ufeff: a comment\n"
    'event: progress\r\ndata: {"a":\r\ndata:  1}\r\n\r\n'
    "id: 7\rretry: 1500\rdata\r\r"
    "event: end\nid: end\ndata: é\n\n"
    "event: nothing\n\n"
    ":\n\n"
    "unknown: x\ndata:y:z\n\n"
    "data: cut in the mid"
).encode()
EVENTS = [
    Event("progress", '{"a":\n 1}'),
    Event("message", ""),
    Event("end", "é"),
    Event("message", "y:z"),
]


def test_comments_ids_and_what_is_unknown_are_passed_over_and_the_cut_off_is_no_event() -> None:
    reader = EventReader()
    assert reader.feed(STREAM) == EVENTS
    assert reader.retry == 1.5


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_it_does_not_matter_where_a_stream_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = EventReader()
    chunks = [STREAM[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    assert [event for chunk in chunks for event in reader.feed(chunk)] == EVENTS


def test_byte_by_byte_it_is_the_same() -> None:
    reader = EventReader()
    told = [event for byte in STREAM for event in reader.feed(bytes([byte]))]
    assert told == EVENTS


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(noise: bytes) -> None:
    reader = EventReader()
    reader.feed(noise)
    assert reader.feed(b"\n\ndata: still here\n\n")[-1] == Event("message", "still here")


@pytest.mark.parametrize("value", ["", "-1", "1.5", "soon", "²", "9" * 10])
def test_a_pause_that_is_no_number_is_not_heeded(value: str) -> None:
    reader = EventReader()
    reader.feed(f"retry: {value}\n".encode())
    assert reader.retry is None


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: x\n" * 10])
def test_an_event_without_an_end_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch, piece: bytes) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    reader = EventReader()
    with pytest.raises(ValueError, match="over 1,000 bytes"):
        for _ in range(30):
            reader.feed(piece)
