"""Gates: what they say of a run, what is refused and where the caret stands, and that no text breaks them."""

from __future__ import annotations

from fractions import Fraction
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.errors import BadParameter
from promise_pub.parameters.gate import MAX_TEXT, Gate, JudgedClause, Outcome, join_gates, outcome_of, parse_gate
from promise_pub.parameters.gate_kinds import NAMES
from promise_pub.parameters.gate_parser import MAX_NESTING
from promise_pub.parameters.gate_tree import Values

ROWS = {"read": 11_275, "accepted": 11_273, "rejected": 2, "confirmed": 11_273, "returned": 0, "nacked": 0, "resent": 0}
TOLD: Values = {
    **{name: Fraction(count) for name, count in ROWS.items()},
    "received": Fraction(11_273),
    "saved": Fraction(11_201),
    "repeats": Fraction(72),
    "unusable": Fraction(0),
    "missing": Fraction(0),
    "db_count": Fraction(11_201),
    "rate": Fraction(5000),
    "p50": Fraction("3.1"),
    "p95": Fraction("9.8"),
    "p99": Fraction(61),
    "max": Fraction(90),
    "seconds.queued": Fraction(0),
    "seconds.negotiating": Fraction("0.01"),
    "seconds.publishing": Fraction(2),
    "seconds.draining": Fraction(1),
    "seconds.total": Fraction("95.25"),
    "verdict": "kept",
}
UNTOLD: Values = {**TOLD, "received": None, "saved": None, "repeats": None, "p99": None}


def judged(text: str, values: Values = TOLD) -> list[JudgedClause]:
    return list(parse_gate(text).judge(values))


def outcome(text: str, values: Values = TOLD) -> str:
    return outcome_of(judged(text, values)).value


def complaint(text: str) -> str:
    with pytest.raises(BadParameter) as error:
        parse_gate(text)
    return error.value.message


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("saved < accepted", True),
        ("saved<accepted", True),
        ("saved >= accepted", False),
        ("saved = 11201", True),
        ("saved == 11.201K", True),
        ("saved != 11201", False),
        ("confirmed > 0.01M", True),
        ("rejected > 1%", False),
        ("rejected > 0.01 %", True),
        ("rejected / read > 0.01%", True),
        ("saved / accepted < 99%", False),
        ("saved < 100% * accepted", True),
        ("2 * 0.01% < rejected", False),
        ("p99 > 50ms", True),
        ("p99 > 0.05s", True),
        ("p99 > 50", True),
        ("p99 > 2 * 25 + 10", True),
        ("p99 > 50ms + 20", False),
        ("p99 / p50 > 19", True),
        ("seconds.total > 90s", True),
        ("seconds.total > 90", True),
        ("seconds.total > 90K", False),
        ("seconds.total - seconds.publishing > 93250ms", False),
        ("seconds.total - seconds.publishing >= 93250ms", True),
        ("rate < 5K", False),
        ("rate <= 5K", True),
        ("confirmed / seconds.publishing > 5K", True),
        ("-saved > -11202", True),
        ("--saved = 11201", True),
        ("2 + 3 * 4 = 14", True),
        ("(2 + 3) * 4 = 20", True),
        ("8 / 4 / 2 = 1", True),
        ("8 - 4 - 2 = 2", True),
        (".5 + 1. = 1.5", True),
        ("verdict != kept", False),
        ("kept = verdict", True),
        ("verdict = broken or verdict = unknown", False),
        ("not saved < accepted", False),
        ("not not saved < accepted", True),
        ("not (rejected > 0 and nacked > 0)", True),
        # `and` binds more tightly than `or`.
        ("rejected > 0 or nacked > 0 and returned > 0", True),
        ("(rejected > 0 or nacked > 0) and returned > 0", False),
    ],
)
def test_a_gate_says_of_a_run_what_it_reads_like(text: str, fails: bool) -> None:
    assert outcome(text) == ("failed" if fails else "passed")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("saved < accepted", "unknown"),
        ("not saved < accepted", "unknown"),
        ("saved * 0 = 0", "unknown"),
        ("accepted / nacked > 1", "unknown"),
        ("accepted / (nacked - returned) > 1", "unknown"),
        ("saved < accepted and nacked > 0", "passed"),
        ("saved < accepted and rejected > 0", "unknown"),
        ("saved < accepted or rejected > 0", "failed"),
        ("saved < accepted or nacked > 0", "unknown"),
        ("not (saved < accepted or rejected > 0)", "passed"),
    ],
)
def test_what_nobody_told_is_unknown_unless_the_rest_decides(text: str, says: str) -> None:
    assert outcome(text, UNTOLD) == says


def test_each_operand_of_the_outermost_or_is_judged_with_the_values_that_it_saw() -> None:
    text = "saved < accepted or (rejected > 1% or p99 > 50ms and not (resent > 0)) or db_count / nacked > 1"
    assert [(one.outcome.value, one.sentence) for one in judged(text, {**TOLD, "p99": None})] == [
        ("failed", "saved < accepted: 11,201 < 11,273"),
        ("passed", "rejected > 1%: 2 > 112.75"),
        ("unknown", "p99 > 50ms and not (resent > 0): unknown > 50 ms, 0 > 0, because nobody told p99"),
        ("unknown", "db_count / nacked > 1: unknown > 1, because something is divided by zero"),
    ]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("p99 > 50ms", "61 ms > 50 ms"),
        ("0.05s < p99", "50 ms < 61 ms"),
        ("seconds.total > 1500ms", "95.25 s > 1.5 s"),
        ("rejected > 0.00001%", "2 > 0.001"),
        ("rejected / read > 1 / 1M", "0.000177 > 0.000001"),
        ("verdict != kept", "kept != kept"),
        ("accepted * 1M * 1M * 1M > 1", "1.13e+22 > 1"),
    ],
)
def test_values_are_shown_as_people_read_them(text: str, seen: str) -> None:
    assert judged(text)[0].seen == seen


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "fail_if is empty: write when a run fails, as in saved < accepted, or leave it out."),
        (" \t\n", "fail_if is empty"),
        ("x" * 1001, "fail_if has 1,001 characters, over the limit of 1,000."),
        ("(" * 10_000, "fail_if has 10,000 characters, over the limit of 1,000."),
        ("saved < acepted", "there is no 'acepted': did you mean accepted?"),
        ("SAVED < 1", "there is no 'SAVED': did you mean saved?"),
        ("total > 1s", "did you mean seconds.total?"),
        ("duplicates > 1", "did you mean repeats?"),
        ("zebra > 1", "there is no 'zebra': there are read, accepted, rejected, "),
        ("saved", "this is compared with nothing: write a comparison, as in saved < accepted"),
        ("verdict", "as in verdict != kept"),
        ("saved and nacked > 1", "this is compared with nothing"),
        ("not saved", "not denies a comparison"),
        ("verdict > 3", "verdict is compared by == or != with one of kept, broken, unknown"),
        ("verdict < kept", "verdict is compared by"),
        ("saved = kept", "verdict is compared by"),
        ("verdict + 1 > 2", "the verdict is no number"),
        ("verdict = 'kept'", "\"'\" means nothing here"),
        ("saved > 50ms", "a number of rows cannot be compared with a time, nor added to it"),
        ("rate > p99", "rows a second cannot be compared with a time"),
        ("saved + p99 > 1", "a number of rows cannot be compared with a time"),
        ("p99 > 1%", "a percentage is a share of rows, and cannot stand beside a time"),
        ("rejected > 1% + 5", "a percentage stands beside a bare number"),
        ("p99 + seconds.total > 5", "a number needs a unit where ms and s meet"),
        ("(saved < 1) + 2 > 1", "a comparison is no number"),
        ("(saved < 1) * 2 > 1", "a comparison is no number"),
        ("-(saved < 1)", "a comparison is no number"),
        ("1 < saved < 3", "compare two values at a time"),
        ("saved && 3", "'&&' means nothing here: write and"),
        ("saved ≤ 3", "'≤' means nothing here: write <="),
        ("saved < 5x", "there is no unit 'x': units are ms, s, %, K, M"),
        ("saved < 1,000", "',' means nothing here"),
        ("saved < 1e6", "there is no unit 'e6'"),
        ("saved < " + "9" * 16, "this number is too large: it has more than 15 digits"),
        ("saved <", "a value is missing at the end"),
        ("< 3", "a value is missing before '<'"),
        ("saved < 3 or", "a value is missing at the end"),
        ("saved < 3 rejected > 1", "an operator is missing before 'rejected'"),
        ("(saved < 3", "this bracket is not closed"),
        ("saved < 3)", "this bracket closes nothing"),
        ("()", "a value is missing before ')'"),
        ("saved \0 3", "'\\x00' means nothing here"),
        ("saved \udcff 3", "'\\udcff' means nothing here"),
        ("(" * 33 + "1" + ")" * 33 + " > 0", f"brackets stand within each other more than {MAX_NESTING} deep"),
        ("not " * 249 + "x", "there is no 'x'"),
    ],
    ids=lambda text: text[:24].encode("unicode_escape").decode(),
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    said = complaint(text)
    assert says in said
    assert "\0" not in said and "\udcff" not in said.replace("\\udcff", "")


def test_all_faults_are_shown_at_once_each_with_a_caret_below_its_place() -> None:
    said = complaint("saved < acepted or verdict > 3 or (p99 >\n  5x) and rejected")
    assert (
        said
        == dedent("""\
        fail_if cannot be read: 4 faults.
          saved < acepted or verdict > 3 or (p99 > 5x) and…
                  ^ there is no 'acepted': did you mean accepted?
          saved < acepted or verdict > 3 or (p99 > 5x) and rejected
                                     ^ verdict is compared by == or != with one of kept, broken, unknown
          …ted or verdict > 3 or (p99 > 5x) and rejected
                                         ^ there is no unit 'x': units are ms, s, %, K, M
          …verdict > 3 or (p99 > 5x) and rejected
                                         ^ this is compared with nothing: write a comparison, as in saved < accepted
        """).rstrip()
    )


def test_many_faults_and_long_words_make_no_long_message() -> None:
    said = complaint(" or ".join(["x"] * 200))
    assert said.splitlines()[0] == "fail_if cannot be read: 200 faults." and said.endswith("and 180 more")
    assert len(complaint("x" * 1000)) < 500


def test_brackets_and_signs_within_the_limit_are_read_however_many_there_are() -> None:
    deepest = "(" * MAX_NESTING + "saved" + ")" * MAX_NESTING
    assert outcome(f"{deepest} > 1") == "failed"
    assert outcome("(" * MAX_NESTING + "saved > 1" + ")" * MAX_NESTING) == "failed"
    assert outcome("-" * 990 + "1 > 0") == "failed"
    assert outcome("+".join(["1"] * 490) + " = 490") == "failed"
    assert outcome(" or ".join(["1 > 2"] * 110) + " or 1 > 0") == "failed"


def test_given_several_times_each_must_be_a_gate_and_any_of_them_fails_the_run() -> None:
    assert join_gates(["rejected > 0"]) == "rejected > 0"
    assert join_gates(["rejected  >  0", "rejected > 0"]) == "rejected > 0"
    joined = join_gates(["rejected > 0 and saved = 0", "p99 > 50ms or resent > 0"])
    assert joined == "(rejected > 0 and saved = 0) or (p99 > 50ms or resent > 0)"
    assert [one.clause for one in judged(joined)] == ["rejected > 0 and saved = 0", "p99 > 50ms", "resent > 0"]
    with pytest.raises(BadParameter, match="closes nothing"):
        join_gates(["rejected > 0) or (saved", "saved > 1"])
    with pytest.raises(BadParameter, match="not closed"):
        join_gates(["(saved > 1", "rejected > 0) or (saved"])
    with pytest.raises(BadParameter, match="over the limit"):
        parse_gate(join_gates([f"saved > {n}" for n in range(90)]))


_WORDS = st.sampled_from(
    [
        *NAMES,
        "or",
        "and",
        "not",
        "kept",
        "(",
        ")",
        "<",
        "<=",
        "==",
        "!=",
        "+",
        "-",
        "*",
        "/",
        "50ms",
        "90s",
        "1%",
        "2K",
        "0",
        "3.5",
        "$",
    ]
)
_TEXTS = st.text(max_size=60) | st.lists(_WORDS, max_size=25).map(" ".join) | st.lists(_WORDS, max_size=25).map("".join)


def _expressions() -> st.SearchStrategy[str]:
    """Texts that are gates, or nearly."""
    numbers = st.sampled_from(["saved", "accepted", "rejected", "nacked", "missing"])
    numbers |= st.tuples(numbers, st.sampled_from("+-"), numbers).map(" ".join)
    numbers |= st.tuples(st.just("-"), st.sampled_from(["saved", "repeats / nacked * saved"])).map("".join)
    compared = st.tuples(
        numbers, st.sampled_from(["<", "<=", ">", ">=", "=", "==", "!="]), numbers | st.just("1%") | st.just("5")
    ).map(" ".join)
    compared |= st.just("verdict != kept")
    return st.recursive(
        compared,
        lambda inner: st.tuples(inner, st.sampled_from(["or", "and"]), inner).map(" ".join)
        | inner.map(lambda one: f"({one})")
        | inner.map(lambda one: f"not ({one})"),
        max_leaves=8,
    )  # fmt: skip


VALUES = st.fixed_dictionaries(
    {
        name: st.sampled_from(["kept", "broken", "unknown", None])
        if name == "verdict"
        else st.none() | st.integers(0, 10**15).map(Fraction) | st.fractions(0, 100, max_denominator=1000)
        for name in NAMES
    }
)


@settings(deadline=None, max_examples=200)
@given(_TEXTS | _expressions(), VALUES)
def test_any_text_is_a_gate_or_is_refused_with_places_and_no_gate_breaks_on_any_report(
    text: str, values: Values
) -> None:
    try:
        gate = parse_gate(text)
    except BadParameter as error:
        lines = error.message.splitlines()
        assert len(lines) == 1 or any("^" in line for line in lines)
        return
    assert isinstance(gate, Gate) and len(gate.text) <= MAX_TEXT and gate.text.isascii()
    assert parse_gate(gate.text) == gate and parse_gate(gate.text).text == gate.text
    clauses = gate.judge(values)
    assert clauses and outcome_of(clauses) in Outcome
    # Each clause is a gate by itself, and says the same.
    for one in clauses:
        assert [again.outcome for again in parse_gate(one.clause).judge(values)] == [one.outcome]


@settings(deadline=None, max_examples=100)
@given(_expressions(), VALUES)
def test_a_gate_denied_has_the_contrary_outcome_and_what_is_unknown_stays_so(text: str, values: Values) -> None:
    contrary = {"failed": "passed", "passed": "failed", "unknown": "unknown"}
    if len(text) < 900:
        assert outcome(f"not ({text})", values) == contrary[outcome(text, values)]
