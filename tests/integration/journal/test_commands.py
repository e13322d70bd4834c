"""`promise-pub journal` as a process: lists, follows, adds and imports."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from promise_pub.event_records import Event
from promise_pub.features.journal.ports import Selection
from promise_pub.features.journal.report import COLUMNS
from promise_pub.features.journal.store import StoredJournal
from promise_pub.settings.model import DatabaseSettings
from tests.command_parts import Command, Here, configured, run, table
from tests.journal.fake_reader import NOW, a_new_event
from tests.services import StartCommand

BODIES = [b'{"a": 1.0}\n', "Zoë\x1b\u202e\r".encode(), b"\xff\xfe\x00", b"", b"\0", b"x" * 100_000]


async def all_of(journal: StoredJournal) -> Sequence[Event]:
    return (await journal.read(Selection(after=0, limit=1000))).events


async def test_the_newest_events_are_listed_in_their_order(command: Command, journal: StoredJournal) -> None:
    await journal.append(
        [
            *(a_new_event(body=str(n).encode(), at=NOW) for n in range(120)),
            a_new_event("deploy", b'{"a":\n"\x1b[31m[b]"}', sender="\x1bann", subject="s", source="bus", at=NOW),
        ]
    )
    listed, whole, rows, few, none = await asyncio.gather(
        command("journal"),
        command("journal", "--format", "json", "--limit", "1000"),
        command("journal", "--format", "csv", "--topic", "run.*", "--limit", "2"),
        command("journal", "--format", "jsonl", "--sender", "\x1bann", "--source", "bus", "--since", "2026-11-01"),
        command("journal", "--topic", "none", "--until", "1h"),
    )
    assert {said.code for said in (listed, whole, rows, few, none)} == {0}
    lines = listed.out.splitlines()
    assert len(lines) == 100 and lines[0] == "22  2026-11-24T12:00:00Z  run.ended  21"
    assert lines[-1] == r'121  2026-11-24T12:00:00Z  deploy  \x1bann s  {"a": "\x1b[31m[b]"}'
    told = json.loads(whole.out)
    assert [event["seq"] for event in told] == [*range(1, 122)]
    assert (told[5]["data"], told[5]["at"]) == (5, "2026-11-24T12:00:00.123456Z")
    header, *cells = table(rows.out)
    assert header == [*COLUMNS] and [row[0] for row in cells] == ["119", "120"]
    (line,) = few.out.splitlines()
    assert json.loads(line)["seq"] == 121 and "\x1b" not in few.out
    assert none.out == "No events.\n"


async def test_an_export_is_imported_to_the_byte_and_adds_nothing_where_it_is(
    command: Command, journal: StoredJournal, database: DatabaseSettings, tmp_path: Path
) -> None:
    await journal.append([a_new_event(body=body, headers={"x": [1]}, subject="s", at=NOW) for body in BODIES])
    before = await all_of(journal)
    exported = await command("journal", "--format", "jsonl")
    file = tmp_path / "journal.jsonl"
    file.write_text(exported.out)
    assert await command("journal", "import", file) == (0, "6 events imported, 0 of them new.\n", "")
    assert await all_of(journal) == before
    # Somewhere else they are new, once.
    await journal._pool.execute("TRUNCATE journal_events; UPDATE journal_head SET seq = 0, oldest = 1")
    assert await command("journal", "import", file) == (0, "6 events imported, 6 of them new.\n", "")
    assert await command("journal", "import", file) == (0, "6 events imported, 0 of them new.\n", "")
    after = await all_of(journal)
    assert [(one.body, one.key, one.topic, one.at, one.subject, one.headers) for one in after] == [
        (one.body, one.key, one.topic, one.at, one.subject, one.headers) for one in before
    ]
    assert {one.source for one in after} == {"import"}


async def test_standard_input_is_imported_as_well(journal: StoredJournal, configuration: Path) -> None:
    told = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "promise_pub", "-c", configuration, "journal", "import", "-"],
        input=b'{"topic": "a", "body": "1"}\n\n{"topic": "a", "body": "1"}\n',
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert told.stdout == b"2 events imported, 2 of them new.\n"
    assert len(await all_of(journal)) == 2


async def test_what_stands_before_a_mistake_is_imported_and_the_mistakes_are_named(
    command: Command, journal: StoredJournal, tmp_path: Path
) -> None:
    file = tmp_path / "bad.jsonl"
    good = '{"topic": "a", "body": "1"}\n'
    file.write_text(good * 1200 + '{"topic": "a"}\n' + good + '{"body": ""}\nnonsense\n')
    refused, missing = await asyncio.gather(
        command("journal", "import", file), command("journal", "import", tmp_path / "none")
    )
    assert (refused.code, refused.out) == (1, "")
    first, *lines = refused.err.splitlines()
    assert first == (
        f"promise-pub: {file}: 1,200 events imported, 1,200 of them new, and not all. "
        "Correct these lines, then import it again:"
    )
    assert lines[:2] == ["promise-pub: line 1201: body is missing", "promise-pub: line 1203: topic is missing"]
    assert lines[2].startswith("promise-pub: line 1204: is no JSON that can be used: ") and len(lines) == 3
    assert missing == (1, "", f"promise-pub: {tmp_path}/none: cannot be read: No such file or directory\n")
    assert (await journal.head()).seq == 1200


def test_an_event_is_added_once(here: Here) -> None:
    asked = ("journal", "add", "deploy", "--data", '{"version": "1.4"}', "--id", "x", "--subject", "s", "--at", "1h")
    assert here(*asked) == (0, "Event 1 was added: x\n", "")
    assert here(*asked) == (0, "Event 1 was there before: x\n", "")
    assert here("-q", "journal", "add", "deploy") == (0, "", "")
    first, second = map(json.loads, here("journal", "--format", "jsonl").out.splitlines())
    assert (first["topic"], first["subject"], first["body"]) == ("deploy", "s", '{"version": "1.4"}')
    assert (first["sender"], first["source"], first["message_id"]) == ("cli", "api", "x")
    assert datetime.now(UTC) - datetime.fromisoformat(first["at"]) >= timedelta(hours=1)
    assert second["body"] == "{}" and UUID(second["message_id"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--limit", "0"), "--limit must be from 1"),
        (("--limit", "few"), "invalid int value"),
        (("--since", "soon"), "--since must be a span"),
        (("--until", "soon"), "--until must be a span"),
        (("--since", "1h", "--until", "2h"), "--since must be before --until"),
        (("--until", "1h", "--follow"), "--until and --follow cannot be given together"),
        (("--source", "me"), "--source must be one of own, bus, api, import, not 'me'"),
        (("--sender", "a" * 256), "--sender must be a text of at most 255"),
        (("--topic", "a" * 256), "255 bytes"),
        (("--format", "svg"), "invalid choice"),
        (("remove",), "invalid choice"),
        (("add",), "required: TOPIC"),
        (("add", "a b"), "TOPIC: must be words with dots between them"),
        (("add", "a", "--data", "{"), "--data: "),
        (("add", "a", "--id", ""), "--id: must have 1 to 255 bytes"),
        (("add", "a", "--subject", "\x1b"), "--subject: must be a text without control characters"),
        (("add", "a", "--at", "1960-01-01"), "--at: must not be before 1970"),
        (("add", "a", "--at", "9000-01-01"), "--at: must not be more than 5 minutes in the future"),
        (("add", "a", "--at", "x"), "--at must be a span"),
        (("import",), "required: FILE"),
    ],
)
def test_wrong_arguments_are_a_matter_of_usage(here: Here, arguments: Sequence[str], complaint: str) -> None:
    code, out, err = here("journal", *arguments)
    assert (code, out) == (2, "") and complaint in err and err.count("\n") == 1


async def test_without_a_database_or_its_tables_every_command_says_so(
    database: DatabaseSettings, tmp_path: Path
) -> None:
    away = configured(tmp_path / "away.ini", replace(database, host=str(tmp_path)))
    bare = configured(tmp_path / "bare.ini", replace(database, dbname="postgres"))
    for said in await asyncio.gather(run(away, "journal", "--follow"), run(bare, "journal")):
        assert (said.code, said.out) == (1, "") and said.err.count("\n") == 1


async def test_events_are_followed_until_ctrl_c(
    start_process: StartCommand, journal: StoredJournal, configuration: Path
) -> None:
    await journal.append([a_new_event(body=b'"before"'), a_new_event("deploy", b'"other"')])
    command = await start_process("journal", "--topic", "run.#", "--follow", "-c", configuration)
    await command.wait_for("before")
    await journal.append([a_new_event("deploy", b'"other"'), a_new_event(body=b'"while"')])
    await command.wait_for("4 .*while")
    await journal._pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    await journal.append([a_new_event(body=b'"after"')])
    await command.wait_for("5 .*after")
    assert await command.stop(signal.SIGINT) == 0
    assert "other" not in command.output and command.output.count("while") == 1
