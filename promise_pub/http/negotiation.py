"""One address, several formats: HTML for people, JSON for scripts, CSV for tables."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from promise_pub.errors import BadParameter
from promise_pub.http.keys import NEGOTIATED

HTML, JSON, CSV, JSONL, SVG, PLAIN = "html", "json", "csv", "jsonl", "svg", "text"

_FORMATS = {
    "application/json": JSON,
    "application/problem+json": JSON,
    "application/x-ndjson": JSONL,
    "text/csv": CSV,
    "text/html": HTML,
    "image/svg+xml": SVG,
    "text/plain": PLAIN,
}


def negotiate_format(request: web.Request, *, table: bool = False, more: Sequence[str] = ()) -> str:
    """Returns the format that the client wants: `?format=` first, then `Accept`, else JSON for who sends
    JSON, and HTML.

    CSV is available only with `table`, others where they are among `more`. Raises BadParameter for a `?format=` that is
    not available.
    """
    request[NEGOTIATED] = True
    available = (HTML, JSON, *((CSV,) if table else ()), *more)
    named = request.query.get("format")
    if named is None:
        return accepted_format(request, available)
    if named not in available:
        raise BadParameter(f"format must be one of {', '.join(available)}, not {named[:50]!r}.")
    return named


def accepted_format(request: web.Request, available: Sequence[str]) -> str:
    """Returns the format that the client wants by `Accept`, for who names none."""
    request[NEGOTIATED] = True
    default = JSON if request.content_type == "application/json" else HTML
    accepted = _by_preference(request.headers.get("Accept", ""))
    return next((_FORMATS[kind] for kind in accepted if _FORMATS.get(kind) in available), default)


async def add_vary(request: web.Request, response: web.StreamResponse) -> None:
    """Keeps caches from giving one client's format of an address to another; an `on_response_prepare` signal."""
    if NEGOTIATED in request:
        response.headers.setdefault("Vary", "Accept")


def _by_preference(accept: str) -> list[str]:
    """Returns media types by their q value, in the client's order among equals."""
    ranked: list[tuple[float, str]] = []
    for item in accept.split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            ranked.append((float(weight), kind.lower()))
        except ValueError:
            continue
    return [kind for weight, kind in sorted(ranked, key=lambda pair: -pair[0]) if weight > 0]
