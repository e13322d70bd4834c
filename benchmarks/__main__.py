"""`make bench`: starts what is needed, measures part by part, prints the report and writes it into docs/."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path

from benchmarks import report
from benchmarks.figures import Section
from benchmarks.measure import Bench, say
from benchmarks.parts import PARTS
from benchmarks.rows import RowFiles
from benchmarks.services import ROOT, NotMeasured, services
from promise_pub.errors import PromisePubError

ROUNDS, ROWS, QUICK_ROWS = 5, 200_000, 10_000
STOPPED = 130  # exit code after Ctrl-C or SIGTERM


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=_positive, help=f"of each peer ({ROUNDS}; quick: 1)")
    parser.add_argument("--rows", type=_positive, help=f"for the fast peers ({ROWS:,})")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="few rows, one round: does it work?")
    parser.add_argument("--docs", type=Path, help="folder for the page and its charts (docs, when all is measured)")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


async def _measure(options: argparse.Namespace) -> bool:
    """Whether every part was measured. One that fails does not cost the others."""
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    rows = options.rows or (QUICK_ROWS if options.quick else ROWS)
    sections: list[Section] = []
    failed: list[str] = []
    async with services(say) as started:
        folder = started.folder / "rows"
        folder.mkdir()
        bench = Bench(started, RowFiles(folder), rounds, rows, options.quick)
        for name in options.only or PARTS:
            try:
                sections.append(await PARTS[name](bench))
            except (NotMeasured, PromisePubError, TimeoutError, OSError) as error:
                failed.append(f"**{name} was not measured:** {error}")
                say(failed[-1])
        facts = report.machine(started.versions, rounds)
    page = report.markdown(sections, facts, [*bench.skipped, *failed])
    print(page)
    if docs := _docs(options, bool(failed)):
        report.write(docs, page, sections)
    return not failed


def _docs(options: argparse.Namespace, failed: bool) -> Path | None:
    """Where the page goes: into docs/ only when it is the whole."""
    whole = not (options.quick or options.only or failed)
    return options.docs or (ROOT / "docs" if whole else None)


async def _main(options: argparse.Namespace) -> int:
    measuring = asyncio.create_task(_measure(options))

    def stop() -> None:
        """Once: a second Ctrl-C must not cut the cleaning up short."""
        if not measuring.cancelling():
            measuring.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return 0 if await measuring else 1
    except asyncio.CancelledError:
        return STOPPED
    except (PromisePubError, OSError) as error:
        say(f"The services could not be started: {error}")
        return 1


if __name__ == "__main__":
    started_at = time.monotonic()
    status = asyncio.run(_main(_options()))
    say(f"done in {time.monotonic() - started_at:.0f} s")
    sys.exit(status)
