"""One address, three faces: HTML for people, JSON for scripts, CSV for tables."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import aiohttp_jinja2
from aiohttp import web

from promise_pub.errors import BadParameter
from promise_pub.http.keys import NEGOTIATED, PRINCIPAL, SHOWN, may_operate

# What the pages lead to; one that comes later takes its place here.
_ROOMS = (("/", "New run"), ("/runs", "Runs"))
_ROOMS_OF_OPERATORS = (("/visits", "Visits"),)

HTML, JSON, CSV = "html", "json", "csv"

_TYPES = {
    "application/json": JSON,
    "application/problem+json": JSON,
    "text/csv": CSV,
    "text/html": HTML,
}
# Where a spreadsheet may see a formula begin: at a cell's start, after a separator that it takes for one, behind blanks
# and characters that nobody sees, in the full-width forms too; and, by OWASP, wherever a cell starts with a tab or line end.
_BLANK = r"[\s\0\ufeff\u200b-\u200f\u2060]*"
_SIGN = "[-=+@\uff0d\uff1d\uff0b\uff20\ufe63\ufe66\ufe62\ufe6b]"
_FORMULA = re.compile(rf"\A(?=[\t\r\n\0])|(\A|[;\t\r\n])(?={_BLANK}{_SIGN})")


def wanted(request: web.Request, *, table: bool = False) -> str:
    """The face the client wants: `?format=` first, then `Accept`, else HTML. CSV only where there is a table."""
    request[NEGOTIATED] = True
    faces = (HTML, JSON, CSV) if table else (HTML, JSON)
    named = request.query.get("format")
    if named is not None:
        if named not in faces:
            raise BadParameter(f"format must be one of {', '.join(faces)}, not {named[:50]!r}.")
        return named
    accepted = _by_preference(request.headers.get("Accept", ""))
    return next((_TYPES[kind] for kind in accepted if _TYPES.get(kind) in faces), HTML)


async def tell_what_varies(request: web.Request, response: web.StreamResponse) -> None:
    """Caches must not give one client's face of an address to another."""
    if NEGOTIATED in request:
        response.headers.setdefault("Vary", "Accept")


def _by_preference(accept: str) -> list[str]:
    """Media types by their q value, the client's order among equals."""
    ranked: list[tuple[float, str]] = []
    for item in accept.split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            ranked.append((float(weight), kind.lower()))
        except ValueError:
            continue
    return [kind for weight, kind in sorted(ranked, key=lambda pair: -pair[0]) if weight > 0]


def page(request: web.Request, template: str, context: Mapping[str, Any], status: int = 200) -> web.Response:
    """A page of `templates/`, which know where they are, who asks and whether they may do more than look."""
    request[SHOWN] = True
    return aiohttp_jinja2.render_template(template, request, {**_known(request), **context}, status=status)


def fragment(request: web.Request, template: str, context: Mapping[str, Any]) -> str:
    """A part of a page, as `page` makes it."""
    return aiohttp_jinja2.render_string(template, request, {**_known(request), **context})


def _known(request: web.Request) -> Mapping[str, Any]:
    return {
        "here": request.path,
        "principal": request.get(PRINCIPAL),
        "may_operate": may_operate(request),
        "rooms": _ROOMS + _ROOMS_OF_OPERATORS if may_operate(request) else _ROOMS,
    }


def as_json(data: Any, status: int = 200, content_type: str = "application/json") -> web.Response:
    """JSON, characters as they are. A long list near the top may be an iterator, so that it is never there as a whole."""
    return web.json_response(data, status=status, content_type=content_type, dumps=_written)


def _written(data: Any, depth: int = 2) -> str:
    """Lists near the top item by item: while JSON is written, no other thread runs."""
    if isinstance(data, dict) and depth and all(isinstance(name, str) for name in data):
        pairs = (f"{_dumps(name)}: {_written(value, depth - 1)}" for name, value in data.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(data, list | Iterator):
        return f"[{', '.join(map(_dumps, data))}]"
    return _dumps(data)


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]], name: str) -> web.Response:
    """A table to download. A cell that a spreadsheet would execute is neutralised with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([harmless(cell) for cell in row] for row in rows)  # other threads run between
    return web.Response(
        text=text.getvalue(),
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def harmless(cell: object) -> object:
    """The cell as a spreadsheet does not execute it."""
    return _FORMULA.sub(r"\g<0>'", cell) if isinstance(cell, str) else cell
