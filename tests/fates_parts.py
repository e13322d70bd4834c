"""Parts for tests of fates: files of every kind whose records are known line by line, and the list of a server."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from promise_pub.fates import Fate
from tests.web_parts import ServerUnderTest, until

JSON = {"Accept": "application/json"}
ASYNC = JSON | {"Prefer": "respond-async", "Content-Type": "text/csv"}
AT_THE_BROKER = {"returned": "returned", "nacked": "nacked", "unconfirmed": "in_flight"}
NOT_CONFIRMED = {"rejected", "unpublished", *AT_THE_BROKER}
_LINE_ENDS = ("\n", "\r\n", "\r")

Person = tuple[str, str]


@dataclass(frozen=True)
class Record:
    """One record of a file. `values` are None where it is to be rejected."""

    line: int
    number: int | None
    values: tuple[str, ...] | None
    raw: str


@dataclass(frozen=True)
class File:
    """A file, the parameters that describe it, and its records."""

    content: bytes
    query: dict[str, str]
    records: Sequence[Record]

    @property
    def rows(self) -> list[Record]:
        return [one for one in self.records if one.values is not None]

    def lines(self, true: Callable[[tuple[str, ...]], bool]) -> list[int]:
        """The lines of the rows of which something is true."""
        return [one.line for one in self.records if one.values is not None and true(one.values)]

    def simulate(self, **parameters: object) -> str:
        """The address to send it to."""
        return f"/simulate/?{urlencode({**self.query, **{k: str(v) for k, v in parameters.items()}})}"


@dataclass(frozen=True)
class Format:
    """An encoding with a letter that only it has in this place, a delimiter by its name, and whether there is a header."""

    encoding: str = "utf-8"
    delimiter: str = ","
    header: bool = False

    @property
    def mark(self) -> str:
        return {"tab": "\t"}.get(self.delimiter, self.delimiter)

    @property
    def letters(self) -> str:
        return {"utf-8": "Žofie 🦀", "latin-1": "Jürgen ÿ", "cp1252": "Œuvre € „", "iso-8859-15": "Šárka €"}[
            self.encoding
        ]


FORMATS = [
    Format("utf-8", ",", header=True),
    Format("latin-1", ";"),
    Format("cp1252", "tab", header=True),
    Format("iso-8859-15", "|"),
    Format("utf-8", "tab"),
    Format("cp1252", ";", header=True),
    Format("latin-1", "|", header=True),
    Format("iso-8859-15", ","),
]


def people_of(format: Format, count: int, first: int = 1) -> list[Person]:
    """So many rows; among them names with quotes, delimiters, line ends, and what a spreadsheet would take for a formula."""
    kinds: list[Callable[[int], str]] = [
        lambda n: f"Name {n}",
        lambda n: f"{format.letters} {n}",
        lambda n: f'the "{n}"',
        lambda n: f"{n}{format.mark}{n}",
        lambda n: f"two{_LINE_ENDS[n % 3]}lines {n}",
        lambda n: f"=1+{n}",
        lambda n: f'"{n}\n\n{format.mark}"',
    ]
    return [(kinds[n % len(kinds)](n), f"{n}@example.com") for n in range(first, first + count)]


def file_of(format: Format, people: Iterable[Sequence[str]], columns: Sequence[str] = ("name", "mail")) -> File:
    """The rows with blank lines and records between them that are to be rejected, and every kind of line end."""
    data, records = bytearray(), list[Record]()
    line, number = 1, 0
    bad = "\x81" if format.encoding == "cp1252" else None

    def put(text: str, end: str) -> None:
        nonlocal line
        data.extend((text + end).encode(format.encoding))
        line += (text + end).replace("\r\n", "\n").replace("\r", "\n").count("\n")

    if format.header:
        put("", "\r\n")
        put(format.mark.join(columns), "\n")
    for at, values in enumerate(people):
        if at % 10 == 3:
            put("", "\r\n")
        if at % 25 == 7:
            alone = f"alone {at}"
            records.append(Record(line, None, None, alone))
            put(alone, "\r\n")
        if at % 60 == 11:
            surplus = format.mark.join(("=one", "too", f"many {at}"))
            records.append(Record(line, None, None, surplus))
            put(surplus, "\n")
        number += 1
        # A quote that nothing asks for is none of the content.
        raw = format.mark.join(_quoted(value, format.mark, always=at % 4 == 0) for value in values)
        records.append(Record(line, number, tuple(values), raw))
        put(raw, _LINE_ENDS[at % 3])
    assert bad is None or bad not in data.decode(format.encoding)
    query = {"encoding": format.encoding, "delimiter": format.delimiter}
    return File(bytes(data), query | ({"header": "true"} if format.header else {}), records)


def _quoted(value: str, mark: str, *, always: bool) -> str:
    if always or any(one in value for one in ('"', mark, "\r", "\n")):
        return '"{}"'.format(value.replace('"', '""'))
    return value


async def start(server: ServerUnderTest, file: File, **parameters: object) -> str:
    """A run that goes on; its address."""
    reply = await server.ask("POST", file.simulate(**parameters), data=file.content, headers=ASYNC)
    assert reply.status == 202, reply.text
    return str(reply.headers["Location"])


async def run_when(server: ServerUnderTest, path: str, true: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    async def look() -> Any:
        run = (await server.get(path, headers=JSON)).json
        return true(run) and run

    return dict(await until(look))


async def sent(server: ServerUnderTest, file: File, **parameters: object) -> dict[str, Any]:
    """The run of a file, once it has ended."""
    path = await start(server, file, **{"mode": "batch", "timeout": 0, **parameters})
    return await run_when(server, path, lambda run: run["finished_at"])


class Listed:
    """What a server lists of a run: every record with its fate, compared with the file, as JSON and as CSV."""

    def __init__(self, run: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        self.run = run
        self.rows = rows
        self.fates = {fate: count for fate, count in Counter(row["fate"] for row in rows).items() if count}

    def lines(self, *fates: str) -> list[int]:
        return [row["line"] for row in self.rows if row["fate"] in fates]

    def reasons(self, fate: str) -> set[str]:
        return {row["reason"] for row in self.rows if row["fate"] == fate}

    def repeats(self, fate: str) -> dict[int, int | None]:
        """The lines of the rows with a fate, and what each repeats."""
        return {row["line"]: row["repeats_line"] for row in self.rows if row["fate"] == fate}


async def listed(server: ServerUnderTest, run: dict[str, Any], file: File) -> Listed:
    """Fails where a record is not as the file has it, or where the numbers of fates are not those of the report."""
    path = f"/runs/{run['id']}"
    answer = await server.get(f"{path}/rows", headers=JSON)
    assert answer.status == 200, answer.text
    run = (await server.get(path, headers=JSON)).json
    found = Listed(run, answer.json)
    compare_with_file(answer.json, file)
    add_up(found)
    table = [*csv.reader(io.StringIO((await server.get(f"{path}/rows?format=csv")).text, newline=""))]
    assert table[0] == ["line", "row", "fate", "reason", "repeats_line", "content"]
    for cells, row in zip(table[1:], answer.json, strict=True):
        told = [str("" if row[name] is None else row[name]) for name in table[0]]
        assert [cell.removeprefix("'") for cell in cells] == [text.removeprefix("'") for text in told]
        assert not cells[5].startswith(("=", "+", "-", "@", "\t", "\r"))
    return found


def compare_with_file(rows: list[dict[str, Any]], file: File) -> None:
    """Every record of the file, once, in its order, with its line, its number and its content."""
    for row, record in zip(rows, file.records, strict=True):
        assert (row["line"], row["row"]) == (record.line, record.number)
        values = None if row["values"] is None else tuple(row["values"].values())
        assert values == record.values
        if record.values is None:
            assert (row["fate"], row["content"]) == ("rejected", record.raw) and "not 2" in row["reason"]
        else:
            assert row["fate"] in {*Fate} and row["fate"] != "rejected"


def add_up(found: Listed) -> None:
    """The sums by fate are those of the report."""
    run, fates = found.run, found.fates
    assert run["fates"] == {fate: fates.get(fate, 0) for fate in run["fates"]} and set(fates) <= set(run["fates"])
    counts = run["rows"]
    for fate, count in AT_THE_BROKER.items():
        assert fates.get(fate, 0) == counts[count], (fate, fates, counts)
    confirmed = sum(count for fate, count in fates.items() if fate not in NOT_CONFIRMED)
    assert confirmed == counts["confirmed"], (fates, counts)
    if run["state"] != "completed":  # it may have been read in part
        assert fates.get("rejected", 0) >= counts["rejected"]
        assert fates.get("unpublished", 0) >= counts["unpublished"]
        return
    assert (fates.get("rejected", 0), fates.get("unpublished", 0)) == (counts["rejected"], counts["unpublished"])
    totals, unknown = run["totals"], fates.get("unknown", 0)
    for fate, told in (("saved", totals["saved"]), ("unusable", totals["unusable"])):
        if told is not None:
            assert fates.get(fate, 0) <= told <= fates.get(fate, 0) + unknown, (fate, fates, totals)
    if totals["received"] is not None and not unknown:
        assert counts["confirmed"] - fates.get("missing", 0) <= totals["received"], (fates, totals)
