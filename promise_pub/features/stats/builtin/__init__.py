"""Statistics that promise-pub has itself, as any plugin could be. Pure.

Those about runs and logins count events that promise-pub itself vouches for, and no others: whoever may publish to the bus
could make up runs. The prefix of their topics may have several words.
"""

from promise_pub.features.stats.builtin.accounts import Logins
from promise_pub.features.stats.builtin.events import Senders, Volume, VolumeByCategory, VolumeByTopic
from promise_pub.features.stats.builtin.rows import ConfirmLatency, Resends, Rows
from promise_pub.features.stats.builtin.runs import Files, LatestRuns, RunErrors, Runs
from promise_pub.features.stats.builtin.seconds import QueueSeconds, RunSeconds

BUILTIN = (
    *(Runs, RunErrors, Rows, ConfirmLatency, RunSeconds, QueueSeconds, Resends, Files, LatestRuns),
    *(Volume, VolumeByCategory, VolumeByTopic, Senders, Logins),
)
"""All of them."""
