"""Checks of a file that has just arrived: it must be CSV, have the header that was asked for, and a usable row."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from promise_pub.delivery.input import signatures
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.reader import read_batches, read_head, read_header
from promise_pub.errors import NotCsv, NoUsableRow
from promise_pub.parameters import Parameters
from promise_pub.records import Rejected

REJECTS_SHOWN = 20  # rejected rows told when a file holds nothing else


async def with_columns(path: Path, parameters: Parameters) -> Parameters:
    """Returns the parameters with the columns that the file's header names, if that was asked for.

    Raises NotCsv for a file that is something else, BadHeader, NoUsableRow or StoredFileError.
    """
    if fault := signatures.fault_of(await read_head(path, signatures.LONGEST)):
        raise NotCsv(fault)
    if not parameters.header:
        return parameters
    header = await read_header(path, Dialect.of(parameters))
    if header is None:
        raise nothing_in()
    return replace(parameters, columns=header.keys)


async def require_usable_row(path: Path, parameters: Parameters) -> None:
    """Reads up to the first usable row. Raises NoUsableRow or StoredFileError."""
    dialect = Dialect.of(parameters)
    rejected: list[Rejected] = []
    async with aclosing(read_batches(path, dialect)) as batches:
        async for batch in batches:
            if batch.rows:
                return
            rejected.extend(batch.rejected[: REJECTS_SHOWN - len(rejected)])
    if rejected:
        raise NoUsableRow(None, rejected)
    raise nothing_in(header=dialect.header)


def nothing_in(*, header: bool = False) -> NoUsableRow:
    """Returns the error for a file with neither a row nor a reject; at most a `header`."""
    return NoUsableRow("The file holds a header and no row." if header else "The file is empty.")
