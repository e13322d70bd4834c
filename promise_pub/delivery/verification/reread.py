"""Reads a file as that of a run, and works out again what the run's report says of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from promise_pub.delivery.broker.messages import make_body_encoder
from promise_pub.delivery.evidence.blocks import BlockHasher, Blocks, block_size
from promise_pub.delivery.evidence.digest import MODULUS, fingerprint, written
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.reader import open_stored, read_batches, read_header, reading
from promise_pub.delivery.verification.blocks import BlockComparison, Place, describe_records
from promise_pub.errors import BadHeader
from promise_pub.parameters import Parameters
from promise_pub.records import Batch, Row, RunReport, State

SLICE = 2_000  # rows encoded or hashed at once: some milliseconds
_READ = 1024 * 1024  # bytes hashed at once, in a thread


@dataclass(frozen=True, slots=True)
class Reread:
    """The result of reading a file as that of a run.

    `digest` is of the rows up to `through`, as the run's is; None where they are not known. `header_fault` says why the
    header is not that of the run. `place` is of the first difference; None where there is none, or no blocks to tell.
    """

    bytes: int
    sha256: str
    read: int = 0
    rejected: int = 0
    digest: str | None = None
    through: int = 0
    header_fault: str = ""
    place: Place | None = None

    @property
    def accepted(self) -> int:
        return self.read - self.rejected


async def reread(path: Path, run: RunReport, blocks: Blocks | None = None) -> Reread:
    """Reads a file twice: its bytes, then its records. Holds the event loop for 20 ms at most. Raises StoredFileError."""
    size, sha256 = await _hash_file(path)
    try:
        parameters, fault = await _with_own_header(path, run.parameters)
    except BadHeader as error:
        return Reread(size, sha256, header_fault=error.message)
    digest = _SessionDigest(run)
    comparison = BlockComparison(blocks) if blocks else None
    read = rejected = 0
    async with aclosing(read_encoded(path, parameters)) as batches:
        async for batch, bodies in batches:
            read += len(batch.rows) + len(batch.rejected)
            rejected += len(batch.rejected)
            for start in range(0, len(bodies), SLICE):
                digest.add(batch.rows[start : start + SLICE], bodies[start : start + SLICE])
                await asyncio.sleep(0)
            if comparison:
                comparison.add(*describe_records(batch, bodies))
    place = comparison.finish() if comparison else None
    return Reread(size, sha256, read, rejected, digest.value, digest.through, fault, place)


async def hash_blocks(path: Path, run: RunReport) -> Blocks:
    """Returns the hashes of the records in the file of a completed run. Raises StoredFileError."""
    size = block_size(run.counts.read)
    hasher, hashes = BlockHasher(size), list[str]()
    async with aclosing(read_encoded(path, run.parameters)) as batches:
        async for batch, bodies in batches:
            said, _ = describe_records(batch, bodies)
            hashes += (hash for _, hash in hasher.add(said))
    if last := hasher.finish():
        hashes.append(last)
    return Blocks(size, hashes)


async def read_encoded(path: Path, parameters: Parameters) -> AsyncGenerator[tuple[Batch, Sequence[bytes]]]:
    """Yields the batches of a file, with lines, and the bodies of the messages that its rows become.

    Others have their turn before each batch is yielded.
    """
    encode = make_body_encoder(parameters.columns)
    async with aclosing(read_batches(path, Dialect.of(parameters), lines=True)) as batches:
        async for batch in batches:
            bodies: list[bytes] = []
            for start in range(0, len(batch.rows), SLICE):
                await asyncio.sleep(0)
                bodies += encode(batch.rows[start : start + SLICE])
            await asyncio.sleep(0)
            yield batch, bodies


async def _hash_file(path: Path) -> tuple[int, str]:
    sha256, size = hashlib.sha256(), 0
    with open_stored(path, 0) as file, reading(path):
        while block := await asyncio.to_thread(file.read, _READ):
            await asyncio.to_thread(sha256.update, block)
            size += len(block)
    return size, sha256.hexdigest()


async def _with_own_header(path: Path, parameters: Parameters) -> tuple[Parameters, str]:
    """Returns the parameters with the columns of the file's own header, and what is unlike in it, if it has one."""
    if not parameters.header:
        return parameters, ""
    header = await read_header(path, Dialect.of(parameters))
    if header is None:
        return parameters, "It has no header."
    if header.keys == parameters.columns:
        return parameters, ""
    fault = f"Its header names the columns {_listed(header.keys)}, and that of the run {_listed(parameters.columns)}."
    return replace(parameters, columns=header.keys), fault


def _listed(columns: Sequence[str]) -> str:
    text = ", ".join(columns)
    return text if len(text) <= 200 else f"{text[:200]}…"


class _SessionDigest:
    """The digest of the rows of a run's last session, from the row after those that its earlier sessions account for.

    The report of a run that did not complete has the digest of the rows published by then, and not their number: it is
    the first at which the sum is that digest.
    """

    def __init__(self, run: RunReport) -> None:
        self.through = run.earlier[-1].last if run.earlier else 0
        self._message_id = f"{UUID(run.id)}:".encode()
        self._after = self.through
        self._sum = 0
        self._sought = None if run.state is State.COMPLETED else int(run.digest or "0", 16)
        self._found = self._sought == 0

    @property
    def value(self) -> str | None:
        return None if self._sought is not None and not self._found else written(self._sum)

    def add(self, rows: Sequence[Row], bodies: Sequence[bytes]) -> None:
        if self._found or not rows or rows[-1].number <= self._after:
            return
        for row, body in zip(rows, bodies, strict=True):
            number = row[0]
            if number <= self._after:
                continue
            self._sum += fingerprint(b"%b%d" % (self._message_id, number), body)
            if self._sought is not None and self._sum % MODULUS == self._sought:
                self._found = True
                break
        self.through = number
        self._sum %= MODULUS
