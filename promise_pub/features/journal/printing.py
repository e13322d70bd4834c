"""Events printed as they are read, in each of the formats of the command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from promise_pub.event_records import Event
from promise_pub.features.journal.listing import Show
from promise_pub.features.journal.report import COLUMNS, encode_event, encode_line, list_cells, print_event
from promise_pub.json_text import dump_json
from promise_pub.terminal import print_csv, print_json_line

FORMATS = ("text", "json", "csv", "jsonl")


@contextmanager
def open_printer(format: str, *, endless: bool) -> Iterator[Show]:
    """Gives what prints events. JSON is one list, but a line for each event where they never end."""
    if format in _LISTS and not endless:
        with _LISTS[format]() as show:
            yield show
    else:
        if format == "csv":
            print_csv(COLUMNS)
        yield _PRINT[format]


@contextmanager
def _json_list() -> Iterator[Show]:
    begun = False

    def show(events: Sequence[Event]) -> None:
        nonlocal begun
        for event in events:
            print("," if begun else "[")
            print(dump_json(encode_event(event), indent=2), end="")
            begun = True

    yield show
    print("\n]" if begun else "[]")


@contextmanager
def _text_list() -> Iterator[Show]:
    count = 0

    def show(events: Sequence[Event]) -> None:
        nonlocal count
        count += len(events)
        _print_text(events)

    yield show
    if not count:
        print("No events.")


def _print_text(events: Sequence[Event]) -> None:
    for event in events:
        print(print_event(event), flush=True)


def _print_csv(events: Sequence[Event]) -> None:
    print_csv(*map(list_cells, events))


def _print_json_lines(events: Sequence[Event]) -> None:
    for event in events:
        print_json_line(encode_event(event))


def _print_lines(events: Sequence[Event]) -> None:
    for event in events:
        print_json_line(encode_line(event))


_LISTS = {"json": _json_list, "text": _text_list}
_PRINT = {"text": _print_text, "json": _print_json_lines, "csv": _print_csv, "jsonl": _print_lines}
