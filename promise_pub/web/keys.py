"""The services of the heart, as handlers find them in the application."""

from __future__ import annotations

from aiohttp import web

from promise_pub.concurrency import SharedWork
from promise_pub.delivery.input.dry_run import DryRuns
from promise_pub.delivery.queue.runs import Runs
from promise_pub.delivery.rows.reading import RowReader
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.delivery.verification.stored import StoredBlocks
from promise_pub.settings.model import RabbitSettings
from promise_pub.web.runs.feed import RunFeeds

RUNS = web.AppKey("runs", Runs)
ROWS = web.AppKey("rows", RowReader)
LEDGER = web.AppKey("ledger", Ledger)
DRY_RUNS = web.AppKey("dry_runs", DryRuns)
# The number of rows that `clear` would delete, counted once for all who ask for it at the same time.
EMPLOYEES: web.AppKey[SharedWork[int]] = web.AppKey("employees", SharedWork)
FEEDS = web.AppKey("feeds", RunFeeds)
BLOCKS = web.AppKey("blocks", StoredBlocks)

# Only described to clients; handlers never connect to it.
BROKER = web.AppKey("broker", RabbitSettings)
