"""Usage as a plot that Bokeh embeds elsewhere, where the extra promise-pub[bokeh] is installed."""

from __future__ import annotations

import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path

from promise_pub.errors import ServerBusy
from promise_pub.features.usage.chart import MOST_DRAWN
from promise_pub.features.usage.errors import BokehMissing
from promise_pub.features.usage.records import Usage
from promise_pub.features.usage.report import plot_as_json
from promise_pub.json_text import dump_json

TARGET = "myplot"  # the id of the element that the plot is put in
TIMEOUT = 8.0  # seconds; importing Bokeh takes one or two
PROGRAM = Path(__file__).with_name("bokeh_item.py")


async def make_bokeh_item(usage: Usage, program: Path = PROGRAM, within: float = TIMEOUT) -> bytes:
    """Returns the JSON of an item of Bokeh, for the newest MOST_DRAWN periods. Raises BokehMissing, or ServerBusy where it
    takes longer than `within` seconds."""
    if find_spec("bokeh") is None:
        raise BokehMissing
    told = plot_as_json(usage)
    newest = {name: told[name][-MOST_DRAWN:] for name in ("labels", "values", "complete")}
    pipe = asyncio.subprocess.PIPE
    # Without the folder of the program on its path, whose modules have names that others use, too.
    process = await asyncio.create_subprocess_exec(sys.executable, "-P", program, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(within):
            item, complaint = await process.communicate(dump_json({**told, **newest, "target": TARGET}).encode())
    except TimeoutError:
        raise ServerBusy(f"Bokeh did not make the plot within {within:g} s. Try again.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"Bokeh failed: {complaint.decode(errors='replace')[-2000:]}")
    return item
