"""What digests, row numbers and earlier sessions add to the verdict."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.digest import fingerprint, written
from promise_pub.delivery.ranges import RowRanges
from promise_pub.delivery.verdict import Proof, judge, needs_repeats
from promise_pub.records import Counts, EarlierSession, Repeats, SessionView, Verdict

KEPT, BROKEN, UNKNOWN = Verdict.KEPT, Verdict.BROKEN, Verdict.UNKNOWN
ALL = Counts(read=100, published=100, confirmed=100)
ROWS = RowRanges([(1, 100)])
NO_DIGEST = "the consumer tells no digest of what it received: this rests on its counts"
DIFFER = "what the consumer received is not what was published: the digests of the two differ"


def told(
    received: int | None,
    saved: int | None,
    duplicates: int | None = None,
    *,
    digest: str | None = "d",
    rows: str | None = None,
) -> SessionView:
    return SessionView("u", received, saved, duplicates, digest=digest, rows=rows)


@pytest.mark.parametrize(
    ("session", "proof", "verdict", "explanation"),
    [
        (told(100, 100, 0), Proof(ROWS, digest="d"), KEPT, []),
        (told(100, 100, 0), Proof(ROWS, digest="e"), BROKEN, [DIFFER]),
        (told(100, 100, 0, digest=None), Proof(ROWS, digest="d"), KEPT, [NO_DIGEST]),
        (told(100, 100, 0), Proof(ROWS), KEPT, []),  # rows lost at the broker: nothing to compare
        (told(100, 100, 0, rows="1-100"), Proof(ROWS, digest="d"), KEPT, []),
        (
            told(98, 98, 0, rows="1-49,52-100"),
            Proof(ROWS, digest="e"),
            BROKEN,
            ["2 rows were confirmed and never received: 50-51", DIFFER],
        ),
        (  # one came twice in the place of one that never came: the counts are right
            told(100, 99, 1, rows="1-49,51-100"),
            Proof(ROWS, digest="e"),
            BROKEN,
            [
                "1 row was confirmed and never received: 50",
                DIFFER,
                "1 row repeats a mail that was saved before",
            ],
        ),
        (
            told(103, 97, 6),
            Proof(ROWS, digest="d", again=True),
            KEPT,
            [
                "3 rows were received again after being received once",
                "3 rows repeat a mail that was saved before",
            ],
        ),
        (
            told(103, 97, 5),
            Proof(ROWS, digest="d", again=True),
            BROKEN,
            [
                "3 rows were received again after being received once",
                "2 rows repeat a mail that was saved before",
                "3 rows were received and not saved, and nothing explains 1 of them",
            ],
        ),
        (  # who tells neither duplicates nor digest: what it saved proves every row
            told(103, 100, digest=None),
            Proof(ROWS, digest="d", again=True),
            KEPT,
            ["3 rows were received again after being received once", NO_DIGEST],
        ),
        (
            told(103, 100, digest=None),
            Proof(ROWS, digest="d", again=False),
            UNKNOWN,
            [
                "the consumer received 3 more than was confirmed, so its count does not prove every row",
                NO_DIGEST,
            ],
        ),
        (  # rows without a mail: what the consumer tells of them stands, nothing is counted here
            told(100, 97, 3),
            Proof(ROWS, digest="d", countable=False),
            KEPT,
            ["3 rows were there before, as the consumer tells"],
        ),
        (
            told(100, 97, 2),
            Proof(ROWS, digest="d", countable=False),
            BROKEN,
            [
                "2 rows were there before, as the consumer tells",
                "3 rows were received and not saved, and nothing explains 1 of them",
            ],
        ),
        (
            told(100, 97),
            Proof(ROWS, digest="d", countable=False),
            UNKNOWN,
            [
                "3 rows were received and not saved, and rows without a mail cannot be counted as repeats"
            ],
        ),
        (told(100, 100), Proof(ROWS, digest="d", countable=False), KEPT, []),
    ],
)
def test_what_proves_what(
    session: SessionView, proof: Proof, verdict: Verdict, explanation: list[str]
) -> None:
    judged = judge(ALL, "", "", session, None, session.saved, proof)
    assert (judged.verdict, list(judged.explanation)) == (verdict, explanation)


def test_rows_of_earlier_sessions_are_told_as_such() -> None:
    gone = SessionView("gone", 40, 38, 2, 0)
    field = SessionView("field", 20, 15)
    nothing = SessionView("nothing", 0, 0)
    earlier = (
        EarlierSession(gone, 1, 40),
        EarlierSession(field, 41, 55),
        EarlierSession(nothing, 56, 55),
    )
    proof = Proof(RowRanges([(56, 100)]), earlier, "d")
    judged = judge(ALL, "", "", told(45, 45, 0, rows="56-100"), None, 45, proof)
    assert judged.verdict is KEPT
    assert judged.explanation == (
        "rows 1 to 40 are taken from what the session gone told before it ended: 38 saved, 2 that were there already, 0 not usable",
        "rows 41 to 55 are taken from what the session field told before it ended: 15 saved",
        "the session nothing ended before it told of a row that it was done with",
    )
    lost = judge(ALL, "", "", told(44, 44, 0, rows="57-100"), None, 44, proof)
    assert lost.verdict is BROKEN and "never received: 56" in lost.explanation[3]


@pytest.mark.parametrize(
    ("session", "proof", "needed"),
    [
        (told(103, 97, 6), Proof(ROWS, digest="d"), False),  # proven: nothing hides behind a repeat
        (told(103, 97, 6), Proof(ROWS, digest="e"), True),
        (told(103, 97, digest=None), Proof(ROWS, digest="d"), True),
        (told(None, 97), Proof(ROWS, digest="d"), False),
    ],
)
def test_a_second_pass_is_for_what_no_digest_proves(
    session: SessionView, proof: Proof, needed: bool
) -> None:
    assert needs_repeats(ALL, session, proof) is needed


@settings(deadline=None, max_examples=300)  # a busy machine is no fault of the code
@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12),
    st.lists(st.sampled_from(["once", "twice", "lost", "changed"]), min_size=12, max_size=12),
    st.sampled_from(["all", "no rows", "no duplicates", "counts"]),
    st.randoms(),
)
def test_no_row_that_is_lost_or_changed_is_judged_kept(
    mails: list[str], fates: list[str], tells: str, chance: random.Random
) -> None:
    """An honest consumer; the way to it repeats rows, loses them, changes them."""
    messages: list[tuple[int, str]] = []
    for number, (mail, fate) in enumerate(zip(mails, fates, strict=False), 1):
        came = {"lost": 0, "twice": 2}.get(fate, 1)
        messages += [(number, mail.upper() if fate == "changed" else mail)] * came
    chance.shuffle(messages)
    saved: set[str] = set()
    seen: dict[int, str] = {}
    duplicates = 0
    for number, mail in messages:
        duplicates += mail in saved
        saved.add(mail)
        seen.setdefault(number, mail)
    session = SessionView(
        "u",
        received=len(messages),
        saved=len(saved),
        duplicates=duplicates if tells in ("all", "no rows") else None,
        invalid=0 if tells in ("all", "no rows") else None,
        digest=digest_of(seen) if tells != "counts" else None,
        rows=written_as_ranges(seen) if tells == "all" else None,
    )
    counts = Counts(
        read=len(mails), published=len(mails), confirmed=len(mails), resent=fates.count("twice")
    )
    proof = Proof(
        RowRanges([(1, len(mails))]), digest=digest_of(dict(enumerate(mails, 1))), again=True
    )
    repeats = Repeats(in_file=sum(count - 1 for count in Counter(mails).values()))
    judged = judge(counts, "", "", session, repeats, len(saved), proof)
    went = set(fates[: len(mails)])
    if not went & {"lost", "changed"}:
        assert judged.verdict is KEPT, judged
    elif tells != "counts":
        assert judged.verdict is BROKEN, judged
    elif judged.verdict is KEPT and "changed" not in went:
        # On counts alone, which do not see a change: every mail of the file was saved all the same.
        assert len(saved) == len(set(mails))


def digest_of(rows: dict[int, str]) -> str:
    return written(sum(fingerprint(b"%d" % number, mail.encode()) for number, mail in rows.items()))


def written_as_ranges(rows: dict[int, str]) -> str:
    ranges = RowRanges()
    for number in rows:
        ranges.add(number)
    return str(ranges)
