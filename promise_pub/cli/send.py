"""`send`: a file to a server, or a run that goes there, followed to its end."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from yarl import URL

from promise_pub.cli import junit
from promise_pub.cli.errand import Errand, run_id
from promise_pub.cli.output import OK, exit_code, print_dry_run, print_run
from promise_pub.errors import BadParameter, PromisePubError
from promise_pub.parameters import PARAMETERS, parse_values
from promise_pub.remote.answers import Json


class Place(NamedTuple):
    """Where a run is: its id, and its server, None for the usual one."""

    run: str
    server: str | None


async def send(options: argparse.Namespace) -> int:
    """Sends or follows, and prints the report. What `--junit` names is written however it went."""
    if options.junit:
        junit.check_place(options.junit)
    place = _followed(options)
    errand = Errand(place.server if place else options.server)
    try:
        answer = await _carried_out(options, errand, place)
    except PromisePubError as error:
        _write_junit(options, errand, errand.run, error)
        raise
    if "id" not in answer:
        print_dry_run(answer, options.format)
        return OK
    try:
        _write_junit(options, errand, answer, None)
    finally:  # the report is worth more than its copy
        print_run(answer, options.format)
    return exit_code(answer)


async def _carried_out(options: argparse.Namespace, errand: Errand, place: Place | None) -> Json:
    given = _given(options)
    async with errand.opened(quiet=options.quiet):
        if place:
            await errand.find(place.run)
        elif "id" not in (answer := await errand.submit(options.file, given)):
            return answer
        return await errand.to_the_end()


def _given(options: argparse.Namespace) -> dict[str, str]:
    """The parameters as the server takes them. Raises BadParameter before anything is sent."""
    given = {one.name: value for one in PARAMETERS if (value := getattr(options, one.name)) is not None}
    if options.follow:
        return given
    parse_values(given)
    if not options.file.is_file():
        is_there = options.file.exists()
        raise BadParameter(f"{options.file} is no file" if is_there else f"there is no file {options.file}")
    return given


def _followed(options: argparse.Namespace) -> Place | None:
    """The run that `--follow` names. Raises BadParameter for what does not go together."""
    if not options.follow:
        if options.file is None:
            raise BadParameter("send takes a FILE, or --follow RUN")
        if options.dry_run and options.junit:
            raise BadParameter("--junit reports on a run, and --dry-run makes none")
        return None
    for name in ("file", *(one.name for one in PARAMETERS)):
        if getattr(options, name) is not None:
            what = "FILE" if name == "file" else f"--{name.replace('_', '-')}"
            raise BadParameter(f"--follow takes a run as it goes: {what} is for a new one")
    if "/" not in options.follow:
        return Place(run_id(options.follow), options.server)
    if options.server:
        raise BadParameter("--follow has the server in its URL: leave --server out")
    return _in_url(options.follow)


def _in_url(text: str) -> Place:
    """A run's address, as a browser has it: what stands before /runs/ is the server."""
    try:
        url = URL(text)
        before, found, after = url.path.rpartition("/runs/")
        if not found:
            raise ValueError(text)
        return Place(run_id(after.split("/")[0]), str(url.origin().with_path(before or "/")))
    except ValueError:
        raise BadParameter(f"--follow: {text!r} is no address of a run") from None


def _write_junit(options: argparse.Namespace, errand: Errand, run: Json | None, error: PromisePubError | None) -> None:
    if options.junit:
        name = options.file.name if options.file else options.follow
        host = URL(errand.url).host if errand.run else None
        junit.write(options.junit, junit.report(run, error, name, host or "localhost"))
