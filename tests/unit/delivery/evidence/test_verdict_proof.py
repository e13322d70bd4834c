"""What digests, row numbers and earlier sessions add to the verdict."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.evidence.digest import fingerprint, written
from promise_pub.delivery.evidence.proof import Proof, needs_repeats
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.delivery.evidence.sentences import explain
from promise_pub.delivery.evidence.verdict import judge
from promise_pub.records import Counts, EarlierSession, FindingKind, Repeats, SessionView, Verdict

KEPT, BROKEN, UNKNOWN = Verdict.KEPT, Verdict.BROKEN, Verdict.UNKNOWN
ALL = Counts(read=100, published=100, confirmed=100)
ROWS = RowRanges([(1, 100)])
NO_DIGEST = "checked by counts only: this consumer reports no digest"
UNCOUNTED = "3 rows were already there, as the consumer reports, and rows without a mail cannot be counted as repeats: it reads 'name' and 'mail', and there is no 'mail'"
DIFFER = "what the consumer received is not what was published: their digests differ"


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
                "3 rows were received more than once",
                "3 rows repeat a mail that was saved before",
            ],
        ),
        (
            told(103, 97, 5),
            Proof(ROWS, digest="d", again=True),
            BROKEN,
            [
                "3 rows were received more than once",
                "2 rows repeat a mail that was saved before",
                "the consumer did not save 3 rows that it received, 1 of them for no known reason",
            ],
        ),
        (  # who tells neither duplicates nor digest: what it saved proves every row
            told(103, 100, digest=None),
            Proof(ROWS, digest="d", again=True),
            KEPT,
            ["3 rows were received more than once", NO_DIGEST],
        ),
        (
            told(103, 100, digest=None),
            Proof(ROWS, digest="d", again=False),
            UNKNOWN,
            [
                "the consumer received 3 more than were confirmed, so its count does not prove every row",
                NO_DIGEST,
            ],
        ),
        (  # rows without a mail: what the consumer tells of them stands, nothing is counted here
            told(100, 97, 3),
            Proof(ROWS, digest="d", columns=("name", "id")),
            UNKNOWN,
            [UNCOUNTED],
        ),
        (
            told(100, 97, 2),
            Proof(ROWS, digest="d", columns=("name", "id")),
            BROKEN,
            [
                UNCOUNTED.replace("3", "2"),
                "the consumer did not save 3 rows that it received, 1 of them for no known reason",
            ],
        ),
        (
            told(100, 96),
            Proof(ROWS, digest="d", columns=("id",)),
            UNKNOWN,
            [
                "4 rows were received and not saved, and rows without a mail cannot be counted as repeats: it reads 'name' and 'mail', and there is no 'name' and there is no 'mail'",
            ],
        ),
        (told(100, 100), Proof(ROWS, digest="d", columns=("id",)), KEPT, []),
        (  # what it saved may be empty
            told(100, 100, digest=None),
            Proof(ROWS, digest="d", columns=("name", "email")),
            UNKNOWN,
            [
                NO_DIGEST,
                "nothing shows that the consumer read the columns of these rows: it reads 'name' and 'mail', and there is no 'mail'",
            ],
        ),
        (  # rows saved twice are no sign that each was saved
            told(103, 103, 0),
            Proof(ROWS, digest="d", again=True),
            UNKNOWN,
            [
                "3 rows were received more than once",
                "the consumer says it saved 103 rows where 100 were sent: it saved some twice, or its count is wrong",
            ],
        ),
        (  # a digest proves that rows came, and not why they were not saved
            told(100, 90, 10),
            Proof(ROWS, digest="d"),
            UNKNOWN,
            [
                "the consumer says that 10 rows repeat a mail that was saved before, but the file repeats 3, and employees held none of them before the run"
            ],
        ),
    ],
)
def test_what_proves_what(session: SessionView, proof: Proof, verdict: Verdict, explanation: list[str]) -> None:
    saved = session.saved or 0
    counted = needs_repeats(ALL, session, saved, proof)
    repeats = Repeats(in_file=max(0, min(3, 100 - saved)), gained=saved) if counted else None
    judged = judge(ALL, "", "", session, repeats, saved, proof)
    assert (judged.verdict, sorted(judged.explanation)) == (verdict, sorted(explanation))


def test_rows_sent_again_prove_no_less_to_a_consumer_that_cuts_long_rows_short() -> None:
    session, proof = told(103, 99, digest=None), Proof(ROWS, digest="d", again=True)
    judged = judge(ALL, "", "", session, Repeats(in_file=1, too_long=1, gained=98), 99, proof)
    assert judged.verdict is KEPT, judged


def test_a_file_without_rows_is_delivered_whatever_its_columns() -> None:
    proof = Proof(RowRanges(), columns=("name", "email"))
    judged = judge(Counts(), "", "", told(0, 0, digest=None), None, 0, proof)
    assert (judged.verdict, judged.explanation) == (KEPT, ())


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
        "rows 1 to 40 rest on what the session gone reported before it ended: 38 saved, 2 already there, 0 not usable",
        "rows 41 to 55 rest on what the session field reported before it ended: 15 saved",
        "the session nothing ended before it reported any row as done",
    )
    lost = judge(ALL, "", "", told(44, 44, 0, rows="57-100"), None, 44, proof)
    assert lost.verdict is BROKEN and "never received: 56" in lost.explanation[0]


def test_what_earlier_sessions_told_is_held_against_the_table() -> None:
    told_before = SessionView("gone", 43, 38, 2, 3)
    proof = Proof(RowRanges([(41, 100)]), (EarlierSession(told_before, 1, 40),), "d")
    judged = judge(ALL, "", "", told(60, 60, 0), Repeats(gained=60, gone=38), 60, proof)
    assert judged.verdict is BROKEN
    assert judged.explanation[:2] == (
        "3 rows were received, but of no use to the consumer",
        "employees lacks 38 mails that earlier sessions reported as done: they save elsewhere, did not commit, or somebody deleted them",
    )
    usable = proof._replace(earlier=(EarlierSession(replace(told_before, invalid=0), 1, 40),))
    assert judge(ALL, "", "", told(60, 60, 0), Repeats(gone=1), 60, usable).verdict is UNKNOWN
    assert judge(ALL, "", "", told(60, 60, 0), Repeats(gained=60), 60, usable).verdict is KEPT
    without = usable._replace(columns=("name", "id"))
    judged = judge(ALL, "", "", told(60, 60, 0), None, 60, without)
    assert judged.verdict is UNKNOWN
    assert judged.explanation[0].endswith("0 not usable; without a mail that cannot be checked")


BEFORE = (EarlierSession(SessionView("gone", 40, 40), 1, 40),)


@pytest.mark.parametrize(
    ("session", "repeats", "grown", "verdict"),
    [
        # A session that died commits 5 rows late: the next one is sent them as well, and finds them there.
        (told(60, 55, 5), Repeats(gained=60), 60, KEPT),
        (told(60, 55), Repeats(gained=60), 60, KEPT),
        (told(60, 52), Repeats(in_file=2, held_before=1, gained=57), 57, KEPT),
        # Somebody else saves as well: only the file's own mails count.
        (told(60, 55, 5), Repeats(gained=60), 75, KEPT),
        (told(60, 60, 0), Repeats(gained=60), 65, KEPT),
        # Whatever it grew by, the rows that it lacks are not there.
        (told(60, 55, 5), Repeats(gained=55), 60, UNKNOWN),
        (told(60, 55), Repeats(gained=55), 60, BROKEN),
        (told(60, 60, 0), Repeats(gained=50), 65, UNKNOWN),
        (told(60, 60, 0), Repeats(), 0, UNKNOWN),
        (told(60, 50, 5), Repeats(gained=60), 60, BROKEN),  # nothing explains 5 of them
    ],
)
@pytest.mark.parametrize("way", ["after a session that died", "resumed in its session"])
def test_rows_that_others_saved_meanwhile_are_told_from_those_that_are_lost(
    session: SessionView, repeats: Repeats, grown: int, verdict: Verdict, way: str
) -> None:
    rows = RowRanges([(41, 100)])
    proof = Proof(rows, BEFORE, "d") if way.startswith("after") else Proof(None, (), "d", True, True)
    counts = ALL if way.startswith("after") else Counts(read=60, published=60, confirmed=60)
    judged = judge(counts, "", "", session, repeats, grown, proof)
    assert judged.verdict is verdict, judged


@pytest.mark.parametrize(
    ("session", "repeats", "grown", "said"),
    [
        (told(60, 60, 0), Repeats(gained=60), 60, []),
        (told(60, 55, 5), Repeats(gained=60), 60, []),  # what others saved is said already
        (told(60, 60, 0), Repeats(gained=60), -5, ["shrank by 5 rows: somebody else deletes from it"]),
        (told(60, 60, 0), Repeats(gained=60), 0, ["did not grow: somebody else deletes from it"]),
        (told(60, 60, 0), Repeats(gained=60), 59, ["grew by 59: somebody else deletes from it"]),
        (told(60, 60, 0), Repeats(gained=60), 65, ["grew by 65: somebody else saves to it"]),
        (told(60, 55, 5), Repeats(gained=60), 75, ["grew by 75: somebody else saves to it"]),
    ],
)
def test_a_table_that_others_changed_is_not_kept_without_a_word(
    session: SessionView, repeats: Repeats, grown: int, said: list[str]
) -> None:
    judged = judge(ALL, "", "", session, repeats, grown, Proof(RowRanges([(41, 100)]), BEFORE, "d"))
    changed = [explain(one) for one in judged.findings if one.kind is FindingKind.TABLE_CHANGED]
    assert (judged.verdict, [one.partition("saved, and ")[2] for one in changed]) == (KEPT, said)


@given(st.data())
def test_what_breaks_a_promise_stands_first_and_what_explains_last(data: st.DataObject) -> None:
    number = st.none() | st.integers(0, 120)
    session = SessionView("u", *(data.draw(number) for _ in range(4)))
    counts = Counts(
        read=100, published=100, confirmed=data.draw(st.integers(90, 100)), returned=data.draw(st.integers(0, 9))
    )
    repeats = Repeats(*(data.draw(st.integers(0, 9)) for _ in range(5)))
    judged = judge(counts, "", "", session, repeats, data.draw(st.integers(-9, 120)), Proof(ROWS, BEFORE, "d"))
    weights = [[BROKEN, UNKNOWN, KEPT].index(one.verdict) for one in judged.findings]
    assert weights == sorted(weights)
    assert judged.verdict is ([BROKEN, UNKNOWN, KEPT][weights[0]] if weights else KEPT)


def test_a_table_that_grows_by_more_is_a_contradiction_where_nobody_else_may_save() -> None:
    judged = judge(ALL, "", "", told(100, 95, 5), Repeats(in_file=5, gained=100), 100, Proof(ROWS))
    assert judged.verdict is UNKNOWN


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        (("Name", "Mail"), "'Name' is not 'name' and 'Mail' is not 'mail'"),
        (("name", " mail"), "' mail' is not 'mail'"),
        (("name", "mail\xa0"), "'mail\\xa0' is not 'mail'"),
        (("\ufeffname", "mail"), "'\\ufeffname' is not 'name'"),
        (("Mail", "id"), "there is no 'name' and 'Mail' is not 'mail'"),
        (("mail", "e-mail"), "there is no 'name'"),
        (("name", "-" * 99 + "mail"), f"'{'-' * 30}' is not 'mail'"),
    ],
)
def test_unusable_rows_come_with_the_keys_that_the_consumer_looks_for(columns: tuple[str, ...], hint: str) -> None:
    session = SessionView("u", 100, 0, 0, 100, digest="d")
    judged = judge(ALL, "", "", session, None, 0, Proof(ROWS, digest="d", columns=columns))
    assert judged.verdict is BROKEN
    assert judged.explanation == (
        f"100 rows were received, but of no use to the consumer: it reads 'name' and 'mail', and {hint}",
    )


@pytest.mark.parametrize(
    ("session", "proof", "needed"),
    [
        (told(103, 97, 6), Proof(ROWS, digest="d"), True),
        (told(103, 97, 3), Proof(ROWS, digest="d", columns=("id",)), False),
        (told(100, 100, 0), Proof(ROWS, digest="d", resumed=True), False),
        (told(100, 99, 0), Proof(ROWS, digest="d", resumed=True), True),  # 100 were gained
        (told(100, 100, 0), Proof(ROWS, (EarlierSession(SessionView("e"), 1, 0),)), True),
        (told(103, 97, 6), Proof(ROWS, digest="e"), True),
        (told(103, 97, digest=None), Proof(ROWS, digest="d"), True),
        (told(None, 97), Proof(ROWS, digest="d"), False),
    ],
)
def test_a_second_pass_is_for_what_no_digest_proves(session: SessionView, proof: Proof, needed: bool) -> None:
    assert needs_repeats(ALL, session, 100, proof) is needed


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
    counts = Counts(read=len(mails), published=len(mails), confirmed=len(mails), resent=fates.count("twice"))
    proof = Proof(RowRanges([(1, len(mails))]), digest=digest_of(dict(enumerate(mails, 1))), again=True)
    repeats = Repeats(in_file=sum(count - 1 for count in Counter(mails).values()), gained=len(saved))
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
