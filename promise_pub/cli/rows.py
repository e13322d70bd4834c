"""`runs ID --rows`: the rows of a run as they come from a server; and the first of those that need somebody, in reports."""

from __future__ import annotations

import argparse
import codecs
import io
import sys
from collections.abc import Sequence
from contextlib import aclosing

from promise_pub.cli.remote_run import SERVER, parse_run_id
from promise_pub.fates import ATTENTION, Fate, count_in_need
from promise_pub.presentation.fate_words import WORDS
from promise_pub.remote.answers import Json
from promise_pub.remote.client import open_remote
from promise_pub.remote.rows import MAX_FIRST, read_rows
from promise_pub.terminal import OK
from promise_pub.text import printable, unmasked, unmasked_json

FATES = (*(fate.value for fate in Fate), ATTENTION)
MAX_CONTENT = 200  # characters of a record in text; CSV and JSON have all


async def print_rows(options: argparse.Namespace) -> int:
    """Prints the rows that are asked for while they come, however many there are."""
    run_id, fates, text = parse_run_id(options.id), options.fate or [], options.text or ""
    async with open_remote(options.server or SERVER) as server:
        if options.format == "text":
            async with aclosing(read_rows(server, run_id, fates, text)) as rows:
                async for row in rows:
                    print(describe_row(row))
            return OK
        shown = unmasked_json if options.format == "json" else unmasked
        # It keeps a CR back until it knows whether an LF follows.
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=False)
        async with aclosing(server.rows(run_id, options.format, fates, text)) as chunks:
            async for chunk in chunks:
                sys.stdout.write(shown(decoder.decode(chunk)))
        sys.stdout.write(shown(decoder.decode(b"", final=True)))
    return OK


def describe_row(row: Json) -> str:
    """Returns a record in one line: where it stands, its fate, why, what it repeats, and its content."""
    line, number = (f"{value:,}" if isinstance(value, int) else "–" for value in (row["line"], row.get("row")))
    reason = row.get("reason") or ""
    if row.get("repeats_line") is not None:
        reason += f" (line {row['repeats_line']:,})"
    content = row.get("content")
    if content is not None and len(content) > MAX_CONTENT:
        content = f"{content[:MAX_CONTENT]}…"
    words = [_name(row["fate"]), *([reason] if reason else []), "no longer kept" if content is None else content]
    return printable(f"line {line:>9}  row {number:>9}  {': '.join(words)}")


def _name(fate: str) -> str:
    # A newer server may know more.
    return WORDS[Fate(fate)].name if fate in {*Fate} else fate


def print_in_need(run: Json, rows: Sequence[Json]) -> None:
    """Prints the first rows that need somebody below a report, lost ones before rejected ones, and how many more there
    are."""
    if not rows:
        return
    count = sum(count_in_need(run.get("fates")).values())
    first = sorted(rows, key=lambda row: (row["fate"] == Fate.REJECTED, row["line"]))[:MAX_FIRST]
    print(f"\nrows that need you: {count:,}")
    for row in first:
        print(f"  {describe_row(row)}")
    if more := count - len(first):
        print(f"  and {more:,} more: promise-pub runs {printable(str(run['id']))} --rows --fate {ATTENTION}")
