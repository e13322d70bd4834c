"""`python -m promise_pub` is `promise-pub`: the way in, before anything is imported that takes time."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. Ctrl-C while nothing is open yet ends the process, without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in ("stdout", "stderr"):  # closed by whoever started us
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123  as long as the process

    from promise_pub.cli import main as run_command

    return run_command(arguments)


if __name__ == "__main__":
    sys.exit(main())
