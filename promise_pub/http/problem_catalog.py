"""The one catalogue of errors as people meet them: each class's HTTP status and advice, each status's title and advice.

Pages, the API, its description and the command line read it. `errors.py` itself says of each class what code that is not
HTTP must know: its code, its message, whether trying again is of use, and whether the message quotes the consumer.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from promise_pub import errors

Kind = type[errors.PromisePubError]


class Entry(NamedTuple):
    """The entry of a class of error."""

    status: int
    advice: str | None = None
    """Advice in a sentence or two; None stands for that of the status."""
    public: bool = True
    """True where an answer may have the code; otherwise the error ends a command, or the start of the server."""
    ends_run: bool = False
    """True where the API's description lists it among the errors that a run may fail with."""


_COMMAND = Entry(500, public=False)
_RUN = Entry(502, ends_run=True)

CATALOG: dict[Kind, Entry] = {
    errors.PromisePubError: Entry(500),
    errors.ConfigurationError: _COMMAND,
    # What a client sent.
    errors.RequestError: Entry(400),
    errors.BadParameter: Entry(400),
    errors.FileMissing: Entry(400, "Choose a CSV on the form, then send it."),
    errors.UploadIncomplete: Entry(
        400, "No run was started. Send the file again; if it breaks off again, check the network between."
    ),
    errors.UploadTooSlow: Entry(
        408, "No run was started. Send the file over a faster line, or ask for a lower [server] min_upload_rate."
    ),
    errors.EncodingNotSupported: Entry(415, "Send it without Content-Encoding."),
    errors.FileTooLarge: Entry(413, "Split the file, or ask for a higher [server] max_upload."),
    errors.DiskFull: Entry(507, "Free space on the server's disk, then send the file again."),
    errors.NoUsableRow: Entry(
        422,
        "See what is wrong with the first lines. If the columns, the delimiter or the encoding differ, say so: on the form, "
        "or by --columns, --header, --delimiter and --encoding.",
    ),
    errors.BadHeader: Entry(422),
    errors.NotCsv: Entry(422, "No run was started. Spreadsheets save a CSV by File, Save As; choose CSV UTF-8."),
    errors.RunNotFound: Entry(404, "Check the link, or find the run in the list."),
    errors.WrongState: Entry(409),
    errors.NotResumable: Entry(409, "See on the run's page how it ended. You can send the file again as a new run."),
    errors.NotRepeatable: Entry(409),
    errors.RowsNotReady: Entry(409, "Wait for the run's end, or cancel it."),
    errors.RowsLost: Entry(409, "The run's page has its counts. For its rows, send the file again as a new run."),
    errors.NotCancellable: Entry(409, "See on the run's page how it ended."),
    errors.NotClearable: Entry(
        409, "Send the file without clear, or ask the table's owner to change what is named above."
    ),
    # Who may in.
    errors.AccessError: Entry(403),
    errors.LoginRequired: Entry(401),
    errors.LoginFailed: Entry(401, "Check the name and the password; an administrator can set a new one."),
    errors.TooManyTries: Entry(429, "Wait until then. Users who are logged in, and tokens, are not affected."),
    errors.TokenRefused: Entry(401, "Create a new token: promise-pub token add."),
    errors.NotAllowed: Entry(403, "Ask an administrator for the operator role, for your account or your token."),
    errors.CrossSite: Entry(403, "If it was you, do it from this server's own pages."),
    errors.WrongHost: Entry(421, "Use an address that the server is set up for, or add this one to [server] hosts."),
    errors.AccountError: _COMMAND,
    errors.AccountExists: _COMMAND,
    errors.AccountMissing: _COMMAND,
    # The server.
    errors.ServerBusy: Entry(503),
    errors.TooManyWaiting: Entry(503, "Wait until some runs have ended, then send the file again."),
    errors.ServerStopping: Entry(503, "Send it again in a moment, when the server is back."),
    errors.Internal: Entry(500),
    errors.CannotListen: _COMMAND,
    errors.Stopped: Entry(500),
    # What became of a run. Somebody ended it on purpose, so there is nothing to advise.
    errors.Cancelled: Entry(409, ""),
    errors.Interrupted: Entry(503, ""),
    errors.RunTaken: Entry(500, ends_run=True),
    errors.RunDeleted: Entry(500, ends_run=True),
    errors.StoredFileError: Entry(500, ends_run=True),
    # The consumer.
    errors.ConsumerError: _RUN,
    errors.ConsumerUnreachable: _RUN,
    errors.ConsumerTimeout: _RUN,
    errors.ConsumerRefused: Entry(
        502,
        "The consumer answered with an error. Its own words and its log say why; fix that, then try again.",
        ends_run=True,
    ),
    errors.ConsumerComplaint: Entry(
        502,
        "The consumer answered with a complaint. Its own words and its log say why; fix that, then try again.",
        ends_run=True,
    ),
    errors.ConsumerGarbage: Entry(
        502,
        "The program that answered is not a consumer, or does not follow the contract. Check [consumer] host and port in the "
        "server's configuration.",
        ends_run=True,
    ),
    errors.ConsumerStalled: Entry(
        502,
        "See in the consumer's log what it waits for, or raise [consumer] stall_timeout in the server's configuration; then "
        "resume the run.",
        ends_run=True,
    ),
    errors.SessionLost: Entry(
        502, "See in the consumer's log why it ended the session, then resume the run.", ends_run=True
    ),
    # The broker.
    errors.BrokerError: _RUN,
    errors.BrokerUnreachable: _RUN,
    errors.BrokerRefused: Entry(
        502,
        "The broker's own words say what it refuses. Grant the right to the [rabbit] user of the server's configuration "
        "(publishing needs the write permission on amq.default: rabbitmqctl set_permissions), raise the limit, or correct "
        "the configuration; then resume the run.",
        ends_run=True,
    ),
    errors.BrokerLost: _RUN,
    errors.QueueGone: Entry(
        502,
        "Find out who removed the session's queue, the consumer or somebody at the broker; then resume the run.",
        ends_run=True,
    ),
    # The database.
    errors.DatabaseError: Entry(
        503, "The database's own words say what failed. Ask its administrator to fix it, then try again.", ends_run=True
    ),
    errors.DatabaseUnavailable: Entry(503, ends_run=True),
    errors.DatabaseRefused: Entry(
        503,
        "The database's own words say what it refuses. Grant the right to the [database] user of the server's "
        "configuration, or correct the configuration.",
        ends_run=True,
    ),
    errors.RightsMissing: Entry(503, "Grant the rights that are named above."),
    errors.DatabaseUnfit: Entry(503),
    errors.DatabaseTooOld: Entry(503),
    errors.DatabaseNotUtf8: Entry(503),
    errors.DatabaseReadOnly: Entry(
        503, "Let the server's [database] section name the primary, then restart the server.", ends_run=True
    ),
    errors.DatabasePooled: Entry(503, "Set the pooler's pool_mode to session, then restart the server.", ends_run=True),
    errors.SchemaMissing: Entry(503, "Create the tables: promise-pub schema --apply.", ends_run=True),
    # Commands.
    errors.LocalStackError: _COMMAND,
    errors.PartMissing: _COMMAND,
    errors.PartFailed: _COMMAND,
    errors.ServerAnswerError: _COMMAND,
    errors.ServerAway: _COMMAND,
}

_STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("Invalid request", "Correct it and try again."),
    401: ("Log in", "Log in first. Scripts send a token."),
    403: ("Not allowed", "Ask an administrator for the right to do this."),
    404: ("Page not found", "Check the address, or use one of the links above."),
    405: ("Method not allowed", "Use one of the links above."),
    408: ("Too slow", "Try again over a faster line."),
    409: ("Not possible now", "Reload the page: it has changed meanwhile."),
    413: ("Too large", "Send less at once."),
    415: ("Encoding not supported", "Send the body as it is."),
    421: ("Unknown host name", "Use the server's own address."),
    422: ("No usable row", "Correct the file and try again."),
    429: ("Too many attempts", "Wait a while, then try again."),
    500: (
        "Server error",
        "Try again. If it happens again, tell the administrator when: the server's log has the details.",
    ),
    502: (
        "Consumer or broker failed",
        "Check that the consumer and the broker are up (see the server's /readyz), then try again.",
    ),
    503: ("Not available now", "Try again in a moment. The server's /readyz shows which part is down."),
    507: ("Disk full", "Free space on the server's disk."),
}


def add_entries(entries: Mapping[Kind, Entry]) -> None:
    """Adds a feature's own errors, before the server starts. An error without an entry has that of the class above it."""
    CATALOG.update(entries)


def find_entry(kind: Kind) -> Entry:
    return next(CATALOG[above] for above in kind.__mro__ if above in CATALOG)


def title_of(status: int) -> str:
    """Returns in a few words what happened; HTTP's own words for a status without an entry."""
    return _STATUSES[status][0] if status in _STATUSES else HTTPStatus(status).phrase


def advise(kind: Kind) -> str:
    """Returns what to do about an error; nothing about a run that somebody ended."""
    entry = find_entry(kind)
    return advise_on_status(entry.status) if entry.advice is None else entry.advice


def advise_on_status(status: int) -> str:
    """Returns what to do about a status; nothing about one without an entry."""
    return _STATUSES[status][1] if status in _STATUSES else ""
