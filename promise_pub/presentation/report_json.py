"""The JSON of a report to hand on: a run's, and hashes of its file's records. Pure."""

from __future__ import annotations

import re
from typing import Any

from promise_pub import json_schema
from promise_pub.delivery.evidence.blocks import MAX_BLOCKS, Blocks
from promise_pub.delivery.evidence.digest import is_written
from promise_pub.errors import BadParameter, ServerAnswerError
from promise_pub.json_schema import ORDINAL, TEXT, Schema
from promise_pub.parameters import DELIMITERS, ENCODINGS
from promise_pub.parameters.columns import find_fault
from promise_pub.presentation.run_json import Json, decode_run, encode_run
from promise_pub.records import RunReport
from promise_pub.text import parse_uuid

FORMAT = 1
"""The version of the hashes: another way to make them is another number."""
_HASH = re.compile("[0-9a-f]{16}")
_MAX_SIZE = 10**15  # records in a block

BLOCKS: Schema = json_schema.nullable(
    json_schema.object_of(
        {
            "format": {"const": FORMAT},
            "size": json_schema.described(ORDINAL, "Records in a block; the last one may have fewer."),
            "hashes": json_schema.array({**TEXT, "pattern": f"^{_HASH.pattern}$"}, maxItems=MAX_BLOCKS),
        },
        description="A BLAKE2b hash of 8 bytes for each block of records, to find where another file differs.",
    )
)
REPORT: Schema = {
    "allOf": [
        json_schema.ref("Run"),
        json_schema.object_of(
            {
                "blocks": BLOCKS,
                "no_blocks": json_schema.nullable(json_schema.described(TEXT, "Why there are none.")),
            }
        ),
    ]
}


def encode_report(run: RunReport, blocks: Blocks | None, no_blocks: str | None = None) -> Json:
    """Returns a report in JSON types. `no_blocks` says why there are no hashes."""
    told = None if blocks is None else {"format": FORMAT, "size": blocks.size, "hashes": [*blocks.hashes]}
    return {**encode_run(run), "blocks": told, "no_blocks": no_blocks}


def decode_report(told: Any) -> tuple[RunReport, Blocks | None]:
    """Decodes the JSON of a run, or of a report. Raises BadParameter where nothing can be verified with it."""
    if isinstance(told, list):
        raise BadParameter("it is a list: the report of one run is needed, as `runs ID --format json` prints it")
    if not isinstance(told, dict) or not {"id", "file", "rows"} <= told.keys():
        raise BadParameter("it is no report of a run")
    try:
        run = decode_run(told)
    except ServerAnswerError as error:
        raise BadParameter("it is no report of a run, or one of a newer version of promise-pub") from error
    _require_usable(run)
    return run, _decode_blocks(told.get("blocks"))


def _require_usable(run: RunReport) -> None:
    """Raises BadParameter for values that JSON can spell and no run has, and for a run without a digest."""
    parse_uuid(str(run.id), BadParameter("it is no report of a run: its id is no UUID"))
    parameters = run.parameters
    if not run.state.final:
        raise BadParameter(f"the run was {run.state} when it was made: take one of the run's end")
    if run.digest is None:
        raise BadParameter("it has no digest of rows: the run ended before it had one, or an old version made it")
    texts = all(isinstance(one, str) for one in (*parameters.columns, run.file.name, run.file.sha256))
    if not (is_written(run.digest) and texts and parameters.columns and not find_fault(parameters.columns)):
        raise BadParameter("it is no report of a run: its digest, its file or its columns cannot be those of one")
    if parameters.delimiter not in DELIMITERS.values() or parameters.encoding not in ENCODINGS.values():
        raise BadParameter(
            f"its file has the delimiter {parameters.delimiter!r:.20} and the encoding {parameters.encoding!r:.50}, which "
            "this version does not know: use the version that made it, or a newer one"
        )


def _decode_blocks(told: Any) -> Blocks | None:
    if told is None:
        return None
    if isinstance(told, dict) and told.get("format") not in (None, FORMAT):
        raise BadParameter(
            "its hashes of records are of a newer version of promise-pub: use that version, or a newer one"
        )
    try:
        size, hashes = int(told["size"]), told["hashes"]
        if not (0 < size <= _MAX_SIZE and len(hashes) <= MAX_BLOCKS and all(map(_HASH.fullmatch, hashes))):
            raise ValueError(size)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise BadParameter("it is no report of a run: what it has as blocks are no hashes of records") from None
    return Blocks(size, hashes)
