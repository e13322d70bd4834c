"""Arguments that people give to a run of a job, read before it is queued. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from promise_pub.errors import BadParameter
from promise_pub.jobs import Job


def read_arguments(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """Returns arguments as they are kept, in the order that the job declares them. Raises BadParameter, naming the one
    that is wrong, or those that are known."""
    known = {argument.name: argument for argument in job.arguments}
    for name in given:
        if name not in known:
            taken = f"takes {', '.join(known)}" if known else "takes no argument"
            raise BadParameter(f"The job {job.name} {taken}, not {name[:50]!r}.")
    read = {}
    for name in known.keys() & given.keys():
        try:
            read[name] = known[name].read(given[name])
        except BadParameter as error:
            raise BadParameter(f"{name}: {error.message}") from error
    return {name: read[name] for name in known if name in read}
