"""The bundled consumer, which dies between a commit and its ack: `python dying_consumer.py ROWS -c FILE`.

It goes as `kill -9` would take it, as soon as so many rows are committed, before anybody hears of the last of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from promise_pub.__main__ import main
from promise_pub.consumer.rows import RowValues
from promise_pub.consumer.saver import Saved, Saver

DIED = 9  # its exit code


class DyingSaver(Saver):
    """Saves as the real one does."""

    alive_for = 0  # rows

    async def save(self, rows: Sequence[RowValues]) -> Saved:
        done = await super().save(rows)
        DyingSaver.alive_for -= done.saved
        if DyingSaver.alive_for <= 0:
            os._exit(DIED)
        return done


if __name__ == "__main__":
    from promise_pub.consumer import server

    DyingSaver.alive_for = int(sys.argv[1])
    server.Saver = DyingSaver  # type: ignore[misc]
    sys.argv = ["promise-pub", "consumer", *sys.argv[2:]]
    sys.exit(main())
