"""Groups of records, before any of them is looked at."""

from __future__ import annotations

from promise_pub.delivery.evidence.claims import Claim, SessionClaims
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.delivery.evidence.row_fates import InTable
from promise_pub.delivery.evidence.row_map import Claimed, RowMap, Unrecorded
from promise_pub.delivery.rows.plan import MAX_UNKNOWN, FatePlan
from promise_pub.fates import Fate
from promise_pub.records import SessionView


def test_rows_whose_confirms_were_not_written_down_are_not_called_confirmed() -> None:
    plan = FatePlan.without_look_up(RowMap([]))
    fate, reason = plan.outcomes[plan.group(Unrecorded.CONFIRM, InTable.UNSEEN)]
    assert fate is Fate.UNKNOWN
    assert reason == "published; which of these rows the broker confirmed was not written down"
    assert plan.outcomes[plan.group(Fate.UNKNOWN, InTable.UNSEEN)].reason.startswith("confirmed by the broker")


def test_sessions_may_give_more_reasons_than_a_byte_tells_apart() -> None:
    sessions = [
        SessionClaims(SessionView("u", 1000, saved), {Claim.NOTHING: RowRanges([(1, 1000)])}) for saved in range(999)
    ]
    rows = RowMap([], sessions)
    plan = FatePlan.without_look_up(rows)
    groups = [plan.group(Claimed(place, Claim.NOTHING), InTable.UNSEEN) for place in range(len(sessions))]
    lost = [plan.group(fate, InTable.UNSEEN) for fate in (Fate.UNPUBLISHED, Fate.RETURNED, Fate.NACKED)]
    assert len({*groups}) == MAX_UNKNOWN + 1 and max(*groups, *lost) < 255
    assert plan.group(Claimed(3, Claim.NOTHING), InTable.UNSEEN) == groups[3]
    further = plan.outcomes[groups[-1]]
    assert further.fate is Fate.UNKNOWN and further.reason
    assert plan.outcomes[groups[0]].reason != further.reason
