"""A file read as that of a run: equal to the last byte, or with the first difference named where the report shows it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.concurrency import background
from promise_pub.delivery.broker.messages import make_body_encoder
from promise_pub.delivery.evidence import blocks as evidence
from promise_pub.delivery.evidence.blocks import BlockHasher, Blocks, block_size
from promise_pub.delivery.evidence.digest import fingerprint
from promise_pub.delivery.verification import reread as module
from promise_pub.delivery.verification.blocks import BlockComparison, Unlike
from promise_pub.delivery.verification.comparison import Verification, compare
from promise_pub.delivery.verification.reread import hash_blocks, reread
from promise_pub.errors import StoredFileError
from promise_pub.parameters import Parameters
from promise_pub.records import Counts, EarlierSession, Row, RunReport, SessionView, State, StoredFile
from tests.run_parts import RUN, STARTED

FILE = b'Ann,ann@x\nBob,bob@x\nno row\n\nCid,"c\nid@x"\nDan,dan@x\n'
ROWS = [("Ann", "ann@x"), ("Bob", "bob@x"), ("Cid", "c\nid@x"), ("Dan", "dan@x")]


def digest(rows: list[Any], first: int = 1, run: str = RUN, columns: tuple[str, ...] = ("name", "mail")) -> str:
    """The digest as docs/consumer-contract.md has it."""
    bodies = [json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False).encode() for row in rows]
    hashed = (blake2b(f"{run}:{n}".encode() + b"\0" + one, digest_size=16).digest() for n, one in enumerate(bodies, 1))
    return f"{sum(int.from_bytes(one) for n, one in enumerate(hashed, 1) if n >= first) % 2**128:032x}"


def report_of(content: bytes, rows: list[Any], rejected: int = 0, **changes: Any) -> RunReport:
    whole = RunReport(
        id=RUN,
        parameters=Parameters(),
        file=StoredFile("data.csv", len(content), sha256(content).hexdigest()),
        created_at=STARTED,
        state=State.COMPLETED,
        counts=Counts(len(rows) + rejected, rejected, len(rows), len(rows)),
        digest=digest(rows),
    )
    return replace(whole, **changes)


async def verified(folder: Path, run: RunReport, sent: bytes, content: bytes, *, exact: bool = True) -> Verification:
    """What comes of a file beside the report of a run that sent another, or the same."""
    kept, file = folder / "kept.csv", folder / "file.csv"
    kept.write_bytes(sent)
    file.write_bytes(content)
    blocks = await hash_blocks(kept, run) if exact else None
    return compare(run, await reread(file, run, blocks), blocks)


async def test_the_file_of_a_run_gives_its_digest(tmp_path: Path) -> None:
    outcome = await verified(tmp_path, report_of(FILE, ROWS, 1), FILE, FILE)
    assert outcome.equal and all(one.equal for one in outcome.checks)
    assert [one.file for one in outcome.checks] == [len(FILE), sha256(FILE).hexdigest(), 5, 1, 4, digest(ROWS)]
    assert outcome.sentences == (
        "This is the file of that run, byte for byte, and its rows give the digest of the report.",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FILE.replace(b"Bob", b"Bo"), 'row 2 on line 2, which holds here: {"name": "Bo", "mail": "bob@x"}'),
        (FILE.replace(b"Bob,bob@x\n", b""), "the rejected record on line 2, which holds here: no row"),
        (FILE.replace(b"Dan", b"D\n"), "the rejected record on line 7, which holds here: D"),
        (FILE.replace(b"no row", b"no,row"), 'row 3 on line 3, which holds here: {"name": "no", "mail": "row"}'),
        (b"Abe,abe@x\n" + FILE, 'row 1 on line 1, which holds here: {"name": "Abe", "mail": "abe@x"}'),
        (
            FILE + b"Eve,eve@x\n",
            'row 5 on line 8, where the report has no more records: {"name": "Eve", "mail": "eve@x"}',
        ),
    ],
)
async def test_the_first_difference_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    outcome = await verified(tmp_path, report_of(FILE, ROWS, 1), FILE, content)
    assert not outcome.equal
    assert outcome.sentences == (
        "This is another file: its rows do not give the digest of the report.",
        f"The first difference is {said}",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FILE[:-10], "It ends after row 3 on line 5; the report has 1 more record."),
        (FILE[:20], "It ends after row 2 on line 2; the report has 3 more records."),
        (b"", "The file has no record; the report has 5 records."),
    ],
)
async def test_a_file_that_ends_early_says_after_what(tmp_path: Path, content: bytes, said: str) -> None:
    assert (await verified(tmp_path, report_of(FILE, ROWS, 1), FILE, content)).sentences[1] == said


@pytest.mark.parametrize(
    "content", [FILE.replace(b"\n\n", b"\n"), b"\xef\xbb\xbf" + FILE, FILE.replace(b"Ann", b'"Ann"')]
)
async def test_the_same_rows_in_other_bytes_are_not_the_same_file(tmp_path: Path, content: bytes) -> None:
    outcome = await verified(tmp_path, report_of(FILE, ROWS, 1), FILE, content)
    assert not outcome.equal and outcome.checks[-1].equal
    assert "give the digest of the report; the file is not the same" in outcome.sentences[0]
    assert outcome.sentences[1].startswith("The records are written in another way")


async def test_without_hashes_it_says_that_the_place_is_not_known(tmp_path: Path) -> None:
    outcome = await verified(tmp_path, report_of(FILE, ROWS, 1), FILE, FILE.replace(b"Bob", b"Bo"), exact=False)
    assert f"/runs/{RUN}/report.json" in outcome.sentences[1]


async def test_the_digest_is_that_of_the_last_session(tmp_path: Path) -> None:
    earlier = (EarlierSession(SessionView("a"), 1, 2), EarlierSession(SessionView("b"), 3, 2))
    run = report_of(FILE, ROWS, 1, earlier=earlier, digest=digest(ROWS, first=3))
    outcome = await verified(tmp_path, run, FILE, FILE)
    assert outcome.equal
    assert outcome.sentences[1] == "It covers rows 3 to 4, those of the run's last session."
    # A row of an earlier session is proven by the bytes alone.
    outcome = await verified(tmp_path, run, FILE, FILE.replace(b"Ann", b"Abe"))
    assert outcome.checks[-1].equal and not outcome.equal
    assert "row 1 on line 1" in outcome.sentences[1]


async def test_a_last_session_without_rows_has_the_digest_of_none(tmp_path: Path) -> None:
    run = report_of(FILE, ROWS, 1, earlier=(EarlierSession(SessionView("a"), 1, 4),), digest="0" * 32)
    outcome = await verified(tmp_path, run, FILE, FILE)
    assert outcome.equal and "no row" in outcome.sentences[1]


async def test_the_digest_of_a_run_that_did_not_complete_covers_a_beginning(tmp_path: Path) -> None:
    run = report_of(FILE, ROWS, 1, state=State.CANCELLED, digest=digest(ROWS[:3]), counts=Counts(4, 1, 3, 3))
    outcome = await verified(tmp_path, run, FILE, FILE, exact=False)
    assert outcome.equal and [one.name for one in outcome.checks] == ["bytes", "sha256", "digest"]
    assert outcome.sentences[1] == "It covers rows 1 to 3: the run was cancelled after they were published."
    other = await verified(tmp_path, replace(run, digest="5e" * 16), FILE, FILE, exact=False)
    assert not other.equal and "no beginning of its rows" in other.sentences[0]


async def test_another_digest_of_the_same_bytes_says_that_the_report_was_changed(tmp_path: Path) -> None:
    outcome = await verified(tmp_path, report_of(FILE, ROWS, 1, digest="5e" * 16), FILE, FILE)
    assert not outcome.equal and "byte for byte" in outcome.sentences[0] and "was changed" in outcome.sentences[1]


HEADED = b"id;name\n1;M\xfcller\n2;Bob\n"


async def test_columns_delimiter_encoding_and_header_are_those_of_the_run(tmp_path: Path) -> None:
    parameters = Parameters(columns=("id", "name"), header=True, delimiter=";", encoding="latin-1")
    rows = [("1", "Müller"), ("2", "Bob")]
    run = report_of(HEADED, rows, parameters=parameters, digest=digest(rows, columns=("id", "name")))
    assert (await verified(tmp_path, run, HEADED, HEADED)).equal
    for content, said in (
        (
            HEADED.replace(b"id;name", b"id;mail"),
            "Its header names the columns id, mail, and that of the run id, name.",
        ),
        (HEADED.replace(b"id;name", b"id;id"), "'id' appears 2 times"),
        (b"\n\n", "It has no header."),
    ):
        outcome = await verified(tmp_path, run, HEADED, content)
        assert not outcome.equal and said in outcome.sentences[1]


async def test_a_file_that_cannot_be_read_is_no_difference(tmp_path: Path) -> None:
    with pytest.raises(StoredFileError):
        await reread(tmp_path / "missing.csv", report_of(FILE, ROWS, 1))


async def test_in_a_large_file_the_place_is_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MAX_BLOCKS", 10)
    rows = [(f"N{n}", f"{n}@x") for n in range(1, 100)]
    sent = "".join(f"{name},{mail}\n" for name, mail in rows).encode()
    outcome = await verified(tmp_path, report_of(sent, rows), sent, sent.replace(b"N25,", b"M25,"))
    assert outcome.sentences[1] == (
        "The first difference is among the records from row 21 on line 21, to row 30 on line 30."
    )


records = st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=30)


@given(records, records, st.integers(1, 7), st.integers(1, 5))
def test_the_block_of_the_first_difference_is_found_however_the_records_come(
    told: list[bytes], held: list[bytes], size: int, cut: int
) -> None:
    hasher = BlockHasher(size)
    hashes = [one for _, one in hasher.add(told)]
    hashes += [last] if (last := hasher.finish()) else []
    comparison = BlockComparison(Blocks(size, hashes))
    for start in range(0, len(held), cut):
        part = held[start : start + cut]
        comparison.add(part, [(n, Row(n, "x")) for n in range(start + 1, start + 1 + len(part))])
    place = comparison.finish()
    blocks = [told[at : at + size] for at in range(0, len(told), size)]
    found = [held[at : at + size] for at in range(0, len(held), size)]
    unlike = next((n for n, (one, other) in enumerate(zip(blocks, found, strict=False)) if one != other), None)
    if unlike is not None:
        assert place and place.unlike is Unlike.OTHER and place.first and place.last
        assert (place.first[0], place.last[0]) == (unlike * size + 1, unlike * size + len(found[unlike]))
    elif len(blocks) == len(found):
        assert place is None
    elif len(found) < len(blocks):
        assert place and place.unlike is Unlike.ENDED and (place.last[0] if place.last else 0) == len(held)
    else:
        assert place and place.unlike is Unlike.MORE and place.first and place.first[0] == len(told) + 1


@pytest.mark.parametrize(("count", "size"), [(0, 1), (1, 1), (4096, 1), (4097, 2), (5_000_000, 1221)])
def test_a_file_has_as_many_blocks_as_are_kept_at_most(count: int, size: int) -> None:
    assert block_size(count) == size
    assert -(-count // size) <= evidence.MAX_BLOCKS


async def test_others_have_their_turn_within_a_piece_of_tiny_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"a\n" * 40_000
    run = report_of(content, [], parameters=Parameters(columns=("name",)))
    (tmp_path / "file.csv").write_bytes(content)
    turn, encoded, hashed = 0, Counter[int](), Counter[int]()

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def make_counted(columns: Sequence[str]) -> Callable[[Sequence[Row]], Iterable[bytes]]:
        encode = make_body_encoder(columns)

        def counted(rows: Sequence[Row]) -> Iterable[bytes]:
            encoded[turn] += len(rows)
            return encode(rows)

        return counted

    def counted_fingerprint(message_id: bytes, body: bytes) -> int:
        hashed[turn] += 1
        return fingerprint(message_id, body)

    monkeypatch.setattr(module, "make_body_encoder", make_counted)
    monkeypatch.setattr(module, "fingerprint", counted_fingerprint)
    async with background(count_turns()):
        await reread(tmp_path / "file.csv", run)
    for work in (encoded, hashed):
        assert work.total() == 40_000 and max(work.values()) <= module.SLICE
    assert not encoded.keys() & hashed.keys(), "one follows the other in another turn"
