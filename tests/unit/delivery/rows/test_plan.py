"""Groups of records, before any of them is looked at."""

from __future__ import annotations

from promise_pub.delivery.evidence.row_fates import InTable
from promise_pub.delivery.evidence.row_map import RowMap, Unrecorded
from promise_pub.delivery.rows.plan import FatePlan
from promise_pub.fates import Fate


def test_rows_whose_confirms_were_not_written_down_are_not_called_confirmed() -> None:
    plan = FatePlan.without_look_up(RowMap([]))
    fate, reason = plan.outcomes[plan.group(Unrecorded.CONFIRM, InTable.UNSEEN)]
    assert fate is Fate.UNKNOWN
    assert reason == "published; which of these rows the broker confirmed was not written down"
    assert plan.outcomes[plan.group(Fate.UNKNOWN, InTable.UNSEEN)].reason.startswith("confirmed by the broker")
