"""`send`: uploads a file to a server, or finds a run there, and follows it to its end."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from yarl import URL

from promise_pub.cli import junit
from promise_pub.cli.output import exit_code, print_dry_run, print_run
from promise_pub.cli.remote_run import RemoteRun, parse_run_id
from promise_pub.cli.rows import print_in_need
from promise_pub.errors import BadParameter, PromisePubError
from promise_pub.parameters import PARAMETERS, join_given, parse_values
from promise_pub.remote.answers import Json
from promise_pub.terminal import OK


class RunAddress(NamedTuple):
    """A run's id and its server; None is the default server."""

    run: str
    server: str | None


async def send(options: argparse.Namespace) -> int:
    """Sends or follows, and prints the report. Writes the JUnit file whatever the outcome."""
    if options.junit:
        junit.check_place(options.junit)
    address = _read_follow(options)
    remote = RemoteRun(address.server if address else options.server)
    try:
        answer = await _run_to_end(options, remote, address)
    except PromisePubError as error:
        _write_junit(options, remote, remote.run, error)
        raise
    if "id" not in answer:
        print_dry_run(answer, options.format)
        return OK
    try:
        _write_junit(options, remote, answer, None)
    finally:  # the report is worth more than its copy
        print_run(answer, options.format)
        if options.format == "text":
            print_in_need(answer, remote.in_need)
    return exit_code(answer)


async def _run_to_end(options: argparse.Namespace, remote: RemoteRun, address: RunAddress | None) -> Json:
    given = _read_parameters(options)
    async with remote.connected(quiet=options.quiet):
        if address:
            await remote.fetch(address.run)
        elif "id" not in (answer := await remote.submit(options.file, given)):
            return answer
        return await remote.follow_to_end()


def _read_parameters(options: argparse.Namespace) -> dict[str, str]:
    """Returns the parameters as a request has them. Raises BadParameter before anything is sent."""
    options_given = {one.name: value for one in PARAMETERS if (value := getattr(options, one.name)) is not None}
    given = join_given(
        (name, text) for name, value in options_given.items() for text in ([value] if isinstance(value, str) else value)
    )
    if options.follow:
        return given
    parse_values(given)
    if not options.file.is_file():
        is_there = options.file.exists()
        raise BadParameter(f"{options.file} is no file" if is_there else f"there is no file {options.file}")
    return given


def _read_follow(options: argparse.Namespace) -> RunAddress | None:
    """Returns the run that `--follow` names. Raises BadParameter for options that cannot be combined."""
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
        return RunAddress(parse_run_id(options.follow), options.server)
    if options.server:
        raise BadParameter("--follow has the server in its URL: leave --server out")
    return _parse_run_url(options.follow)


def _parse_run_url(text: str) -> RunAddress:
    """Reads a run's URL, as a browser shows it; the part before /runs/ is the server."""
    try:
        url = URL(text)
        before, found, after = url.path.rpartition("/runs/")
        if not found:
            raise ValueError(text)
        return RunAddress(parse_run_id(after.split("/")[0]), str(url.origin().with_path(before or "/")))
    except ValueError:
        raise BadParameter(f"--follow: {text!r} is no address of a run") from None


def _write_junit(
    options: argparse.Namespace, remote: RemoteRun, run: Json | None, error: PromisePubError | None
) -> None:
    if options.junit:
        name = options.file.name if options.file else options.follow
        host = URL(remote.url).host if remote.run else None
        document = junit.report(run, error, name, host or "localhost", address=remote.address, rows=remote.in_need)
        junit.write(options.junit, document)
