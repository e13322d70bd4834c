"""`promise-pub sessions` and `transitions` as processes: what they print, and what they end with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from promise_pub.features.visits.hits import Hit, format_time
from promise_pub.features.visits.report import SESSION_COLUMNS
from promise_pub.features.visits.store import StoredVisits
from promise_pub.settings.model import DatabaseSettings
from tests.command_parts import Command, Here, configured, run, table
from tests.visits.fake_visits import a_hit
from tests.visits.walks import text

FORMATS = ("text", "json", "csv", "dot", "svg")
ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))
# Sessions that began then have ended, or have not; tests may run long after these lines.
EARLIER = datetime.now(UTC) - timedelta(hours=3)
LATER = datetime.now(UTC) + timedelta(hours=3)


def walk(session: UUID, began: datetime, *pages: str, **more: Any) -> list[Hit]:
    """A page a second."""
    return [a_hit(session, began + timedelta(seconds=second), page, **more) for second, page in enumerate(pages)]


@pytest.fixture
async def three(visits: StoredVisits) -> None:
    """Sessions: two have ended, the third goes on."""
    client = {"ip": ip_address("192.0.2.1"), "user_agent": "[b]old[/b] \x1b[31mbrowser"}
    await visits.add_hits(walk(ONE, EARLIER, "/", "/", "/runs", "/", **client))
    await visits.add_hits(walk(TWO, EARLIER + timedelta(hours=1), "/"))
    await visits.add_hits(walk(THREE, LATER, "/runs", "/"))


@pytest.mark.usefixtures("three")
async def test_sessions_are_listed_newest_first(command: Command) -> None:
    since = format_time(EARLIER + timedelta(minutes=30))
    listed, whole, recent, few = await asyncio.gather(
        command("sessions"),
        command("sessions", "--format", "json"),
        command("sessions", "--format", "csv", "--since", since, "--limit", "10000"),
        command("sessions", "--limit", "1", "--since", "7d"),
    )
    assert {said.code for said in (listed, whole, recent, few)} == {0}
    lines = listed.out.splitlines()
    assert [line.split()[0] for line in lines] == ["session", *map(str, (THREE, TWO, ONE))]
    began = EARLIER.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert f"{began}  " in lines[3] and lines[3].endswith(r"192.0.2.1 [b]old[/b] \x1b[31mbrowser")
    told = json.loads(whole.out)
    assert [list(one) for one in told] == [[*SESSION_COLUMNS]] * 3
    assert [(one["hits"], one["pages"], one["ended"]) for one in told] == [
        (2, 2, False),
        (1, 1, True),
        (4, 2, True),
    ]
    assert told[2]["first"] == format_time(EARLIER)
    assert told[2]["last"] == format_time(EARLIER + timedelta(seconds=3))
    assert (told[2]["ip"], told[1]["ip"]) == ("192.0.2.1", None)
    header, *rows = table(recent.out)
    assert (header, [row[0] for row in rows]) == ([*SESSION_COLUMNS], [str(THREE), str(TWO)])
    assert rows[1][3:] == ["1", "1", "True", "", ""]
    assert [line.split()[0] for line in few.out.splitlines()] == ["session", str(THREE)]


def test_fifty_sessions_are_listed_unless_asked_for_more(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "hits.csv"
    lines = [f"{format_time(EARLIER)},{UUID(int=number)},/\n" for number in range(60)]
    path.write_text("at,session_id,page\n" + "".join(lines))
    assert here("visits", "import", path).out == "60 hits read, 60 of them new.\n"
    fifty = here("sessions", "--format", "csv")
    all_of_them = here("sessions", "--format", "csv", "--limit", "60")
    assert (len(table(fifty.out)), len(table(all_of_them.out))) == (51, 61)


OF_ALL = text(
    """
    Transitions for all sessions:

    +---+                    +------+
    | / |     ---  50 % ---> | exit |
    +---+                    +------+

                             +---+
              ---  25 % ---> | / |
                             +---+

                             +-------+
              ---  25 % ---> | /runs |
                             +-------+

    +-------+                +---+
    | /runs | --- 100 % ---> | / |
    +-------+                +---+

    7 hits in 3 sessions, 2 of them ended; 50 % of those left after one page.

    page   hits  entries  share of time  pages until exit
    /         5        2         71.4 %               2.5
    /runs     2        1         28.6 %               3.5
    """
)
OF_ONE = text(
    """
    Transitions for session 00000000-0000-0000-0000-000000000003 since {since} UTC:

    +---+
    | / |
    +---+
    """
)


@pytest.mark.usefixtures("three")
async def test_transitions_are_drawn_with_their_figures(command: Command) -> None:
    since = LATER + timedelta(seconds=1)
    of_all, of_one = await asyncio.gather(
        command("transitions"),
        command("transitions", "--session-id", str(THREE), "--since", format_time(since)),
    )
    assert of_all == (0, OF_ALL, "")
    assert of_one == (0, OF_ONE.format(since=f"{since:%Y-%m-%d %H:%M}"), "")


@pytest.mark.usefixtures("three")
async def test_transitions_have_five_faces_which_agree(command: Command, visits: StoredVisits) -> None:
    faces = [command("transitions", "--format", face) for face in FORMATS[1:]]
    whole, rows, dot, svg = await asyncio.gather(*faces)
    told = await visits.get_transitions()
    assert whole == (0, whole.out, "") and json.loads(whole.out) == told.as_json()
    assert [tuple(row) for row in table(rows.out)] == [
        ("from", "to", "count", "probability"),
        ("/", "exit", "2", "0.5"),
        ("/", "/", "1", "0.25"),
        ("/", "/runs", "1", "0.25"),
        ("/runs", "/", "2", "1.0"),
    ]
    assert (dot.code, dot.err) == (0, "") and dot.out.startswith("digraph visits {\n")
    assert dot.out.count(" -> ") == 4 and '"/" -> "exit"' in dot.out
    assert (svg.code, svg.err) == (0, "") and "<svg" in svg.out
    assert svg.out.rstrip().endswith("</svg>")


def test_without_hits_every_face_is_empty_and_none_fails(here: Here) -> None:
    assert [here("sessions", "--format", face) for face in FORMATS[:3]] == [
        (0, "No sessions yet.\n", ""),
        (0, "[]\n", ""),
        (0, f"{','.join(SESSION_COLUMNS)}\r\n", ""),
    ]
    drawn, whole, rows, dot, svg = (here("transitions", "--format", face) for face in FORMATS)
    assert drawn == (0, "Transitions for all sessions:\n\nNo hits yet.\n", "")
    assert (json.loads(whole.out)["hits"], json.loads(whole.out)["transitions"]) == (0, [])
    assert rows == (0, "from,to,count,probability\r\n", "")
    assert (dot.code, dot.err) == (0, "") and "->" not in dot.out
    assert (svg.code, svg.err) == (0, "") and "<svg" in svg.out


@pytest.mark.usefixtures("three")
async def test_what_is_not_there_is_said_in_a_line(command: Command) -> None:
    unknown = f"promise-pub: There is no session {uuid4()}.\n"
    session = unknown.split()[-1].rstrip(".")
    asked = (
        ("transitions", "--session-id", session),
        ("visits", "forget", session),
        ("sessions", "--since", format_time(LATER + timedelta(days=1))),
    )
    shown, forgotten, none = await asyncio.gather(*(command(*words) for words in asked))
    assert shown == forgotten == (1, "", unknown)
    assert none == (0, "No sessions since then.\n", "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("sessions", "--limit", "0"), "--limit must be from 1 to 10000, not 0"),
        (("sessions", "--limit", "10001"), "--limit must be from 1 to 10000, not 10001"),
        (("sessions", "--limit", "few"), "invalid int value"),
        (("sessions", "--since", "soon"), "--since must be a span such as 30m"),
        (("sessions", "--format", "svg"), "invalid choice"),
        (("transitions", "--since", "7"), "--since must be a span such as 30m"),
        (("transitions", "--session-id", "7"), "'7' is not a session ID"),
        (("transitions", "--session-id", ""), "'' is not a session ID"),
        (("transitions", "--format", "png"), "invalid choice"),
        (("visits",), "required: COMMAND"),
        (("visits", "forget", "me"), "'me' is not a session ID"),
        (("visits", "import"), "required: FILE"),
    ],
)
def test_wrong_arguments_are_a_matter_of_usage(here: Here, arguments: Sequence[str], complaint: str) -> None:
    code, out, err = here(*arguments)
    assert (code, out) == (2, "") and complaint in err and err.count("\n") == 1


async def test_without_a_database_or_its_tables_every_command_says_so(
    database: DatabaseSettings, tmp_path: Path
) -> None:
    away = configured(tmp_path / "away.ini", replace(database, host=str(tmp_path)))
    bare = configured(tmp_path / "bare.ini", replace(database, dbname="postgres"))
    shown, listed = await asyncio.gather(run(away, "-q", "transitions", "--format", "svg"), run(bare, "sessions"))
    for said in (shown, listed):
        assert (said.code, said.out) == (1, "") and said.err.count("\n") == 1
    assert shown.err.startswith("promise-pub: The database cannot be reached: ")
    assert "promise-pub schema --apply" in listed.err
