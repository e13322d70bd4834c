"""The parts of the report, each by its name and in its order."""

from collections.abc import Awaitable, Callable

from benchmarks.figures import Section
from benchmarks.measure import Bench
from benchmarks.parts.attacked import attacked
from benchmarks.parts.journal import journal
from benchmarks.parts.memory import memory
from benchmarks.parts.publish import publish
from benchmarks.parts.rate import rate
from benchmarks.parts.responsive import responsive
from benchmarks.parts.saved import saved
from benchmarks.parts.stats import stats
from benchmarks.parts.upload import upload
from benchmarks.parts.usage import usage
from benchmarks.parts.visits import visits
from benchmarks.parts.window import window

PARTS: dict[str, Callable[[Bench], Awaitable[Section]]] = {
    part.__name__: part
    for part in (publish, window, saved, memory, responsive, upload, rate, visits, journal, stats, usage, attacked)
}
