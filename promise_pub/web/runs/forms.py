"""The requests for a run: parameters and a file, in a form or as the body."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import aiohttp
from aiohttp import BodyPartReader, web

from promise_pub.delivery.input.uploads import Upload
from promise_pub.errors import BadParameter, FileMissing, FileTooLarge
from promise_pub.http.intake import bodies
from promise_pub.http.intake.bodies import broken_uploads, read_timely
from promise_pub.http.intake.expect import request_body
from promise_pub.http.intake.limits import LIMITS, Limits, RateFloor
from promise_pub.http.intake.shares import BODIES
from promise_pub.http.pagination import check_known, parse_query
from promise_pub.parameters import (
    DRY_RUN,
    FILE_FIELD,
    FILE_PARAMETERS,
    PARAMETERS,
    Parameter,
    Parameters,
    join_given,
    parse_values,
)
from promise_pub.records import StoredFile

MAX_FIELD = 4096  # bytes of a form field other than the file: 100 columns with names of 40
CHUNK = 256 * 1024  # bytes of a form's part asked for at once: aiohttp's own 8 KB cost most of an upload's time
MAX_OVERHEAD = 64 * 1024  # bytes of a multipart body besides the file
MAX_HEADER = 4096  # bytes of a header of a part: a name of 255 characters, percent-encoded, is 3,060
LEAST_LINE = 64  # bytes that a line of a form counts for at least: each costs some microseconds, however short

_PLAIN = {"binary", "8bit", "7bit"}
RAW_TYPES = {"text/csv", "application/csv"}


class SubmittedRun(NamedTuple):
    """A request for a run: its file, whole on disk, and its parameters."""

    file: StoredFile
    parameters: Parameters
    dry_run: bool = False


_QUERY_ONLY = ("format", "filename")
WHOLE = replace(DRY_RUN, name="whole", help="The body is all of the file.")


def parse_request(query: Mapping[str, str], fields: Mapping[str, str]) -> tuple[Parameters, bool]:
    """Returns the run's parameters, and True for a dry run; the query string wins. Raises BadParameter.

    With header=true the columns are unknown until the file is read; they are empty.
    """
    return _parse({**dict(_filled(fields.items())), **_without(query, _QUERY_ONLY)}, PARAMETERS)


def parse_preview(request: web.Request) -> tuple[Parameters, bool]:
    """Returns the file's parameters, and True where the body is all of the file. Raises BadParameter."""
    return _parse(_without(parse_query(request), ("format",)), (*FILE_PARAMETERS, WHOLE))


def _parse(given: Mapping[str, str], known: Sequence[Parameter]) -> tuple[Parameters, bool]:
    """Reads these parameters, the last of which is not the run's."""
    check_known(given, [one.name for one in known])
    values = parse_values(given, known)
    flag = values.pop(known[-1].name, False)
    return Parameters(**values), flag


def _without(query: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if name not in names}


def asks_dry_run(request: web.Request) -> bool:
    """Returns True where the query string asks for a dry run; a form's field is read with the file."""
    return request.query.get("dry_run") == "true"


async def receive_run(request: web.Request, upload: Upload) -> SubmittedRun:
    """Streams the file to disk and reads the parameters. Raises a kind of RequestError."""
    query = join_given(request.query.items())
    parse_request(query, {})  # an error here need not wait for the file
    if (request.content_length or 0) > upload.limit + MAX_OVERHEAD:
        raise FileTooLarge(f"The file is larger than the limit of {upload.limit:,} bytes.")
    with request.app[BODIES].hold(request), broken_uploads():
        await request_body(request)
        name, fields = await _receive(request, upload, request.app[LIMITS])
    parameters, dry_run = parse_request(query, fields)
    if not name and not upload.size:
        raise FileMissing
    return SubmittedRun(await upload.finish(name), parameters, dry_run)


async def _receive(request: web.Request, upload: Upload, limits: Limits) -> tuple[str, Mapping[str, str]]:
    content, floor = request.content, RateFloor(limits.upload_rate)
    if request.content_type.startswith("multipart/"):
        lines: Any = _FormContent(content, floor)
        form = aiohttp.MultipartReader(request.headers, lines, max_field_size=MAX_HEADER)
        return await _receive_form(form, upload, limits)
    if request.content_type in RAW_TYPES:
        async for chunk in read_timely(partial(floor.read, content.readany), content.at_eof):
            await upload.write(chunk)
        return request.query.get("filename") or "body.csv", {}
    raise FileMissing


class _FormContent:
    """The bytes of a form as aiohttp reads them.

    Lines are what stands between the values of the fields: before the first boundary, in headers, after the end. They may
    have MAX_OVERHEAD bytes in all. None of the bytes may come slower than the floor.
    """

    def __init__(self, content: aiohttp.StreamReader, floor: RateFloor) -> None:
        self._content = content
        self._floor = floor
        self._left = MAX_OVERHEAD

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def read(self, size: int) -> bytes:
        return await self._floor.read(partial(self._content.read, size))

    async def readline(self, **limits: int) -> bytes:
        line = await self._floor.read(partial(self._content.readline, **limits))
        self._left -= max(len(line), LEAST_LINE)
        if self._left < 0:
            raise BadParameter(f"The form has more than {MAX_OVERHEAD:,} bytes besides the values of its fields.")
        return line


async def _receive_form(form: aiohttp.MultipartReader, upload: Upload, limits: Limits) -> tuple[str, Mapping[str, str]]:
    name: str | None = None
    fields: list[tuple[str, str]] = []
    while (part := await asyncio.wait_for(form.next(), bodies.CHUNK_TIMEOUT)) is not None:
        if not isinstance(part, BodyPartReader) or not part.name:
            raise BadParameter("The form holds a part that is not a field.")
        limits.check_fields(len(fields) + 1)
        if part.name == FILE_FIELD and name is not None:
            raise BadParameter(f"{FILE_FIELD} is given more than once.")
        if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in _PLAIN:
            raise BadParameter(f"{part.name[:50]} is sent in an encoding: send its bytes as they are.")
        if part.name == FILE_FIELD:
            name = part.filename or ""
            async for chunk in read_timely(partial(part.read_chunk, CHUNK), part.at_eof):
                await upload.write(chunk)
        else:
            fields.append((part.name, await _text(part)))
            join_given(_filled(fields))  # an error here need not wait for the file
    if name is None:
        raise FileMissing
    return name, join_given(_filled(fields))


def _filled(fields: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yields the fields of a form but for those that were left empty and may be."""
    empty = {one.name for one in PARAMETERS if one.may_be_empty}
    return ((name, text) for name, text in fields if text or name not in empty)


async def _text(part: BodyPartReader) -> str:
    value = bytearray()
    async for chunk in read_timely(partial(part.read_chunk, CHUNK), part.at_eof):
        value += chunk
        if len(value) > MAX_FIELD:
            raise BadParameter(f"{(part.name or '')[:50]} is over {MAX_FIELD} bytes.")
    return value.decode("utf-8", "replace")
