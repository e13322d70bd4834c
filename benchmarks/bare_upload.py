"""The least an upload can cost: an aiohttp handler that writes the body to disk and does nothing else.

`python -m benchmarks.bare_upload FOLDER` prints where it listens. `?sync=yes` has the disk confirm the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from aiohttp import web

WRITE_SIZE = 1024 * 1024  # bytes, as much as promise-pub writes at once
_FOLDER = web.AppKey("folder", Path)


async def store(request: web.Request) -> web.Response:
    path = request.app[_FOLDER] / "body"
    with path.open("wb", buffering=WRITE_SIZE) as file:
        async for chunk in request.content.iter_any():
            file.write(chunk)
        if "sync" in request.query:
            file.flush()
            os.fsync(file.fileno())
    path.unlink()
    return web.Response(text="OK")


def main(folder: Path) -> None:
    app = web.Application()
    app[_FOLDER] = folder
    app.router.add_post("/", store)
    web.run_app(app, host="127.0.0.1", port=0, access_log=None, print=_print_url)


def _print_url(text: str) -> None:
    """aiohttp's greeting, of which the others wait for one line."""
    for word in text.split():
        if word.startswith("http://"):
            print(f"listening on {word}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
