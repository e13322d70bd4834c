"""What a client sends to /simulate/: parameters and a file, by form or as the body."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import aiohttp
from aiohttp import BodyPartReader, web

from promise_pub.delivery.input.columns import columns_of, fault_of
from promise_pub.delivery.input.dialect import DELIMITERS, ENCODINGS
from promise_pub.delivery.input.uploads import Upload
from promise_pub.delivery.parameters import MOST_RATE, parse_profile
from promise_pub.errors import BadParameter, FileMissing, FileTooLarge, UploadIncomplete
from promise_pub.http.intake.expect import request_body
from promise_pub.http.intake.limits import LIMITS, Limits, RateFloor
from promise_pub.records import Mode, Parameters, StoredFile

FILE_FIELD = "input_file"
FIELD_LIMIT = 4096  # bytes of a form field other than the file: 100 columns with names of 40
CHUNK_TIMEOUT = 60.0  # seconds without a byte before an upload counts as abandoned
MOST_TIMEOUT = 3600  # seconds
CHUNK = 256 * 1024  # bytes of a form's part asked for at once: aiohttp's own 8 KB cost most of an upload's time
OVERHEAD = 64 * 1024  # bytes a multipart body may have besides the file

_PLAIN = {"binary", "8bit", "7bit"}
RAW_TYPES = {"text/csv", "application/csv"}
_BROKEN = (
    aiohttp.ClientPayloadError,
    web.RequestPayloadError,
    aiohttp.http_exceptions.HttpProcessingError,
    web.HTTPException,
    ConnectionError,
    EOFError,
    TimeoutError,
    AssertionError,
    ValueError,
    RuntimeError,
)


class Order(NamedTuple):
    """What was asked: a file that is whole on disk, and how to run it, if at all."""

    file: StoredFile
    parameters: Parameters
    dry_run: bool = False


def _mode(value: str) -> Mode:
    try:
        return Mode(value)
    except ValueError:
        raise BadParameter(f"mode must be live or batch, not {value[:50]!r}.") from None


def _whole(name: str, most: int, unit: str) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) > most:
            raise BadParameter(f"{name} must be a whole number of {unit} from 0 to {most}, not {value[:50]!r}.")
        return int(value)

    return parse


def _yes(name: str) -> Callable[[str], bool]:
    def parse(value: str) -> bool:
        if value not in ("true", "false"):
            raise BadParameter(f"{name} must be true or false, not {value[:50]!r}.")
        return value == "true"

    return parse


def _columns(value: str) -> tuple[str, ...]:
    columns = columns_of(value) if value else ()
    if fault := fault_of(columns):
        raise BadParameter(f"columns must be different names with commas between them: {fault}.")
    return columns


def _delimiter(value: str) -> str:
    delimiter = "\t" if value == "\t" else DELIMITERS.get(value)
    if delimiter is None:
        raise BadParameter(f"delimiter must be one of {' '.join(DELIMITERS)}, not {value[:50]!r}.")
    return delimiter


def _encoding(value: str) -> str:
    encoding = ENCODINGS.get(value.lower())
    if encoding is None:
        raise BadParameter(f"encoding must be one of {', '.join(ENCODINGS)}, not {value[:50]!r}.")
    return encoding


_FILE_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "columns": _columns,
    "header": _yes("header"),
    "delimiter": _delimiter,
    "encoding": _encoding,
}
_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "mode": _mode,
    "timeout": _whole("timeout", MOST_TIMEOUT, "seconds"),
    "clear": _yes("clear"),
    "rate": _whole("rate", MOST_RATE, "rows a second"),
    "profile": parse_profile,
    **_FILE_PARSERS,
    "dry_run": _yes("dry_run"),
}
PARAMETERS = tuple(_PARSERS)
_PREVIEW_PARSERS = {**_FILE_PARSERS, "whole": _yes("whole")}
_QUERY_ONLY = ("format", "filename")
_LEFT_EMPTY = ("columns", "profile")  # form fields: a browser sends those that nobody filled in


def parse_parameters(query: Mapping[str, str], fields: Mapping[str, str]) -> Parameters:
    """The run's parameters; the query string wins. Raises BadParameter naming the first that is wrong.

    With header=true the columns are not known yet, and none.
    """
    return parse_order(query, fields)[0]


def parse_order(query: Mapping[str, str], fields: Mapping[str, str]) -> tuple[Parameters, bool]:
    """The parameters, and whether it is a dry run."""
    filled = {name: value for name, value in fields.items() if value or name not in _LEFT_EMPTY}
    given = {**filled, **{name: value for name, value in query.items() if name not in _QUERY_ONLY}}
    values = parse_values(given, _PARSERS)
    if values.get("rate") and values.get("profile"):
        raise BadParameter("rate and profile are two ways to say how fast: leave one of them out.")
    dry_run = values.pop("dry_run", False)
    return Parameters(**values), dry_run


def parse_preview(request: web.Request) -> tuple[Parameters, bool]:
    """What the file of a preview looks like, and whether it is whole. Raises BadParameter."""
    query = {name: value for name, value in _query(request).items() if name != "format"}
    values = parse_values(query, _PREVIEW_PARSERS)
    whole = values.pop("whole", False)
    return Parameters(**values), whole


def asks_dry_run(request: web.Request) -> bool:
    """Whether the query string says so; a form's field is read with the file."""
    return request.query.get("dry_run") == "true"


def parse_values(given: Mapping[str, str], parsers: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """What was given, each by its parser. Raises BadParameter."""
    for name in given:
        if name not in parsers:
            raise BadParameter(f"There is no parameter {name[:50]!r}: there are {', '.join(parsers)}.")
    values = {name: parsers[name](value) for name, value in given.items()}
    if values.get("header"):
        if values.get("columns"):
            raise BadParameter("header=true takes the columns from the file's first line: leave columns out.")
        values["columns"] = ()
    elif values.get("columns") == ():
        raise BadParameter("columns must name at least one column, as in name,mail.")
    return values


def _query(request: web.Request) -> Mapping[str, str]:
    for name in request.query:
        if len(request.query.getall(name)) > 1:
            raise BadParameter(f"{name[:50]} is given more than once.")
    return dict(request.query)


async def take_order(request: web.Request, upload: Upload) -> Order:
    """Streams the file to disk and reads the parameters. Raises a kind of RequestError."""
    query = _query(request)
    parse_parameters(query, {})  # what is wrong already need not wait for the file
    if (request.content_length or 0) > upload.limit + OVERHEAD:
        raise FileTooLarge(f"The file is larger than the limit of {upload.limit:,} bytes.")
    with _broken_uploads():
        await request_body(request)
        name, fields = await _receive(request, upload, request.app[LIMITS])
    parameters, dry_run = parse_order(query, fields)
    if not name and not upload.size:
        raise FileMissing
    return Order(await upload.finish(name), parameters, dry_run)


async def take_body(request: web.Request, limit: int, within: float) -> bytes:
    """A small body, whole, `within` so many seconds. Raises FileTooLarge or UploadIncomplete."""
    too_large = FileTooLarge(f"The body is over the limit of {limit:,} bytes.")
    if (request.content_length or 0) > limit:
        raise too_large
    body, floor = bytearray(), RateFloor(request.app[LIMITS].upload_rate)
    with _broken_uploads(f"The body was not there within {within:g} s."):
        async with asyncio.timeout(within):
            await request_body(request)
            async for chunk in _timely(request.content.readany, request.content.at_eof, floor):
                body += chunk
                if len(body) > limit:
                    raise too_large
    return bytes(body)


async def _receive(request: web.Request, upload: Upload, limits: Limits) -> tuple[str, Mapping[str, str]]:
    floor = RateFloor(limits.upload_rate)
    if request.content_type.startswith("multipart/"):
        return await _receive_form(request, upload, floor, limits)
    if request.content_type in RAW_TYPES:
        async for chunk in _timely(request.content.readany, request.content.at_eof, floor):
            await upload.write(chunk)
        return request.query.get("filename") or "body.csv", {}
    raise FileMissing


async def _receive_form(
    request: web.Request, upload: Upload, floor: RateFloor, limits: Limits
) -> tuple[str, Mapping[str, str]]:
    name: str | None = None
    fields: dict[str, str] = {}
    form = await request.multipart()
    while (part := await asyncio.wait_for(form.next(), CHUNK_TIMEOUT)) is not None:
        if not isinstance(part, BodyPartReader) or not part.name:
            raise BadParameter("The form holds a part that is not a field.")
        limits.check_fields(len(fields) + 1)
        if part.name in fields or part.name == FILE_FIELD and name is not None:
            raise BadParameter(f"{part.name[:50]} is given more than once.")
        if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in _PLAIN:
            raise BadParameter(f"{part.name[:50]} is sent in an encoding: send its bytes as they are.")
        if part.name == FILE_FIELD:
            name = part.filename or ""
            async for chunk in _timely(partial(part.read_chunk, CHUNK), part.at_eof, floor):
                await upload.write(chunk)
        else:
            fields[part.name] = await _text(part, floor)
    if name is None:
        raise FileMissing
    return name, fields


async def _text(part: BodyPartReader, floor: RateFloor) -> str:
    value = bytearray()
    async for chunk in _timely(partial(part.read_chunk, CHUNK), part.at_eof, floor):
        value += chunk
        if len(value) > FIELD_LIMIT:
            raise BadParameter(f"{(part.name or '')[:50]} is over {FIELD_LIMIT} bytes.")
    return value.decode("utf-8", "replace")


async def _timely(
    read: Callable[[], Awaitable[bytes]], ended: Callable[[], bool], floor: RateFloor
) -> AsyncIterator[bytes]:
    """The chunks of a body, to its very end; an empty chunk in between is no end.

    Raises TimeoutError, or UploadTooSlow.
    """
    while not ended():
        async with asyncio.timeout(CHUNK_TIMEOUT):
            chunk = await floor.read(read)
        yield chunk


@contextmanager
def _broken_uploads(too_slow: str | None = None) -> Iterator[None]:
    """Turns aiohttp's many ways to say that a body is not what it should be into UploadIncomplete."""
    try:
        yield
    except TimeoutError as error:
        told = too_slow or f"The upload stood still for {CHUNK_TIMEOUT:g} s."
        raise UploadIncomplete(told) from error
    except _BROKEN as error:
        reason = " ".join(str(error).split())  # some come with line ends
        raise UploadIncomplete(f"The upload cannot be read to its end: {reason}") from error
