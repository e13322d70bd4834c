"""Parts of pages that features add to pages of others, which know nothing of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from aiohttp import web
from markupsafe import Markup

from promise_pub.errors import PromisePubError

log = logging.getLogger(__name__)

INSET_TIMEOUT = 0.25  # seconds that a page waits for a part that it can do without


class Place(StrEnum):
    """Pages that have room for parts."""

    FIRST_PAGE = "first_page"
    RUNS = "runs"
    RUN = "run"


Inset = Callable[[web.Request, datetime | None], Awaitable[Markup]]
"""Returns a part of a page about this moment, or about any; it may be empty."""

INSETS: web.AppKey[Mapping[Place, Sequence[Inset]]] = web.AppKey("insets", Mapping[Place, Sequence[Inset]])


async def render_insets(request: web.Request, place: Place, at: datetime | None = None) -> Sequence[Markup]:
    """Returns the parts for a page, without those that are late or fail."""
    made = await asyncio.gather(*(_render(one, request, at) for one in request.app[INSETS].get(place, ())))
    return [one for one in made if one]


async def _render(inset: Inset, request: web.Request, at: datetime | None) -> Markup:
    try:
        async with asyncio.timeout(INSET_TIMEOUT):
            return await inset(request, at)
    except (PromisePubError, TimeoutError):
        return Markup()
    except Exception:
        log.exception("A part of a page is left out after an unexpected error")
        return Markup()
