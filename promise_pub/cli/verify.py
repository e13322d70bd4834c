"""`verify`: proves offline that a file gives the digest of a run's report."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from promise_pub.cli.output import print_verification
from promise_pub.delivery.verification.comparison import compare
from promise_pub.delivery.verification.reread import reread
from promise_pub.errors import BadParameter, PromisePubError, StoredFileError
from promise_pub.json_text import parse_json
from promise_pub.presentation.report_json import decode_report
from promise_pub.terminal import OK, PROMISE_BROKEN

MAX_REPORT = 16 * 1024 * 1024  # bytes; a report with hashes has some 300 KB, a run's JSON a few hundred more at most


async def verify(options: argparse.Namespace) -> int:
    """Reads the report and the file, prints what is equal, and where the first difference is."""
    try:
        run, blocks = decode_report(await asyncio.to_thread(_read_report, options.report))
    except BadParameter as error:
        raise BadParameter(f"{options.report} cannot be used: {error.message}") from error
    _require_file(options.file)
    try:
        found = await reread(options.file, run, blocks)
    except StoredFileError as error:
        raise PromisePubError(f"{options.file} cannot be read: {error.__cause__ or error}") from error
    outcome = compare(run, found, blocks)
    if options.format != "text" or not (options.quiet and outcome.equal):
        print_verification(run.id, str(options.file), outcome, options.format)
    return OK if outcome.equal else PROMISE_BROKEN


def _read_report(path: Path) -> Any:
    """Returns the JSON of a file. Raises BadParameter."""
    if not path.is_file():
        raise BadParameter("it is no file" if path.exists() else "there is no such file")
    with path.open("rb") as file:
        content = file.read(MAX_REPORT + 1)
    if len(content) > MAX_REPORT:
        raise BadParameter(f"it is larger than {MAX_REPORT:,} bytes, which no report is")
    try:
        return parse_json(content)
    except ValueError:
        raise BadParameter("it is no JSON") from None


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise BadParameter(f"{path} is no file" if path.exists() else f"there is no file {path}")
