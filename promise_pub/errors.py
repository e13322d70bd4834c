"""Every way promise-pub can fail, one class each. Errors of a feature are in its folder. The status and the advice of each stand in `http/problem_catalog.py`.

    ConfigurationError     the INI file, the environment or the command line
    RequestError           a client's request: BadParameter FileMissing UploadIncomplete UploadTooSlow FileTooLarge DiskFull
      │                    NoUsableRow BadHeader NotCsv RunNotFound
      └ WrongState         NotResumable NotRepeatable NotCancellable NotClearable
    AccessError            who may in: LoginRequired LoginFailed TooManyTries TokenRefused NotAllowed CrossSite WrongHost
    AccountError           users and tokens, as the command line keeps them: AccountExists AccountMissing
    ServerBusy             try again later: TooManyWaiting ServerStopping
    ConsumerError          the remote consumer: ConsumerUnreachable ConsumerTimeout ConsumerRefused ConsumerComplaint
                           ConsumerGarbage ConsumerStalled SessionLost
    BrokerError            RabbitMQ: BrokerUnreachable BrokerRefused BrokerLost QueueGone
    DatabaseError          PostgreSQL: DatabaseUnavailable SchemaMissing
      ├ DatabaseRefused    RightsMissing
      └ DatabaseUnfit      no right and no table would help: DatabaseTooOld DatabaseNotUtf8 DatabaseReadOnly DatabasePooled
    CannotListen           the web server's address
    RunTaken RunDeleted Cancelled Interrupted     a run that was ended from outside
    StoredFileError        the uploaded file is no longer what was stored
    LocalStackError        what `serve --local` starts: PartMissing PartFailed
    ServerAnswerError      `promise-pub send` and `runs`, of the server they ask: ServerAway
    Internal               a fault of promise-pub itself
    Stopped                the user ended a command

`code` is stable: scripts may test it. The first line of the class docstring is the message unless one is given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from promise_pub.addresses import join_host_port

if TYPE_CHECKING:
    from promise_pub.records import Rejected, SessionView


class PromisePubError(Exception):
    """promise-pub failed.

    `details` are further sentences, which a command prints on lines of their own.
    """

    code: ClassVar[str] = "error"
    passes = False
    """True where the cause may pass by itself, so that trying again is of use."""
    quotes_peer: ClassVar[bool] = False
    """True where the message quotes the consumer, which may quote a row: the log leaves it out."""

    def __init__(self, message: str | None = None, details: Sequence[str] = (), *, passes: bool | None = None) -> None:
        self.message = message or self.default_message()
        self.details = tuple(details)
        if passes is not None:
            self.passes = passes
        super().__init__(self.message)

    @classmethod
    def default_message(cls) -> str:
        return (cls.__doc__ or "").partition("\n")[0]


class ConfigurationError(PromisePubError):
    """The configuration cannot be used."""

    code = "configuration"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class RequestError(PromisePubError):
    """The request is invalid."""

    code = "bad_request"


class BadParameter(RequestError):
    """A parameter has a value that is not allowed."""

    code = "bad_parameter"


class FileMissing(RequestError):
    """No file was sent: put the CSV into the form field input_file, or send it as the body with Content-Type text/csv."""

    code = "no_file"


class UploadIncomplete(RequestError):
    """The upload ended before the file was complete."""

    code = "upload_incomplete"


class UploadTooSlow(RequestError):
    """The upload was too slow and was cut off."""

    code = "upload_too_slow"


class EncodingNotSupported(RequestError):
    """The body is compressed. The server takes bytes as they are."""

    code = "encoding_not_supported"


class FileTooLarge(RequestError):
    """The file is larger than the server allows."""

    code = "file_too_large"


class DiskFull(RequestError):
    """The server's disk is full; the upload was not kept."""

    code = "disk_full"


class NoUsableRow(RequestError):
    """The file holds no usable row."""

    code = "no_usable_row"

    def __init__(self, message: str | None = None, rejected: Sequence[Rejected] = ()) -> None:
        self.rejected = tuple(rejected)
        super().__init__(message)


class BadHeader(RequestError):
    """The file's first line cannot be used as column names."""

    code = "bad_header"


class NotCsv(RequestError):
    """The file is not a CSV."""

    code = "not_csv"


class RunNotFound(RequestError):
    """There is no such run."""

    code = "run_not_found"


class WrongState(RequestError):
    """The run's state does not allow this."""

    code = "wrong_state"


class NotResumable(WrongState):
    """The run cannot be resumed."""

    code = "not_resumable"


class NotRepeatable(WrongState):
    """The run cannot be repeated."""

    code = "not_repeatable"


class RowsNotReady(WrongState):
    """The run is in progress: its rows are listed once it has ended."""

    code = "rows_not_ready"


class RowsLost(WrongState):
    """The file was gone before its rows were listed."""

    code = "rows_lost"


class NotCancellable(WrongState):
    """The run has already ended."""

    code = "not_cancellable"


class NotClearable(WrongState):
    """The employees table cannot be emptied."""

    code = "not_clearable"


class AccessError(PromisePubError):
    """Access denied."""

    code = "access"


class LoginRequired(AccessError):
    """Log in, or send a token as Authorization: Bearer; the command line takes it from $PROMISE_PUB_TOKEN."""

    code = "login_required"


class LoginFailed(AccessError):
    """The name or the password is wrong."""

    code = "login_failed"


class TooManyTries(AccessError):
    """Too many logins failed.

    `retry_after`: seconds until the next attempt is allowed.
    """

    code = "too_many_tries"

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"Too many logins failed: try again in {retry_after} seconds.")


class TokenRefused(AccessError):
    """The token is unknown, expired or revoked."""

    code = "token_refused"


class NotAllowed(AccessError):
    """Your account can only view: this needs the operator role."""

    code = "not_allowed"


class CrossSite(AccessError):
    """The request came from another site's page: nothing was done."""

    code = "cross_site"


class WrongHost(AccessError):
    """The server does not answer to this host name."""

    code = "wrong_host"


class AccountError(PromisePubError):
    """The account operation failed."""

    code = "account"


class AccountExists(AccountError):
    """An account with this name already exists."""

    code = "account_exists"


class AccountMissing(AccountError):
    """There is no account with this name."""

    code = "account_missing"


class ServerBusy(PromisePubError):
    """The server cannot take another run now."""

    code = "busy"
    passes = True


class TooManyWaiting(ServerBusy):
    """Too many runs are already waiting."""

    code = "too_many_waiting"


class ServerStopping(ServerBusy):
    """The server is stopping."""

    code = "server_stopping"


class ConsumerError(PromisePubError):
    """The consumer failed.

    `last` is the session as it was last seen, or the one that a bad answer names. `unanswered`: the consumer was asked for
    a session and may have made one without naming it.
    """

    code = "consumer_failed"

    def __init__(self, message: str | None = None, last: SessionView | None = None) -> None:
        self.last = last
        self.unanswered = False
        super().__init__(message)


class ConsumerUnreachable(ConsumerError):
    """The consumer cannot be reached."""

    code = "consumer_unreachable"
    passes = True


class ConsumerTimeout(ConsumerError):
    """The consumer did not answer in time."""

    code = "consumer_timeout"


class ConsumerRefused(ConsumerError):
    """The consumer answered with an HTTP error status."""

    code = "consumer_refused"
    quotes_peer = True

    def __init__(self, message: str | None = None, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class ConsumerComplaint(ConsumerError):
    """The consumer answered with a plain-text complaint."""

    code = "consumer_complaint"
    quotes_peer = True


class ConsumerGarbage(ConsumerError):
    """The consumer's answer does not follow the contract."""

    code = "consumer_garbage"
    quotes_peer = True


class ConsumerStalled(ConsumerError):
    """The consumer stopped making progress."""

    code = "consumer_stalled"


class SessionLost(ConsumerError):
    """The session cannot continue; a new one is needed."""

    code = "session_lost"
    quotes_peer = True


class BrokerError(PromisePubError):
    """The broker failed."""

    code = "broker_failed"


class BrokerUnreachable(BrokerError):
    """The broker cannot be reached."""

    code = "broker_unreachable"
    passes = True


class BrokerRefused(BrokerError):
    """The broker refused the connection or a request on it."""

    code = "broker_refused"


class BrokerLost(BrokerError):
    """The connection to the broker was lost."""

    code = "broker_lost"
    passes = True


class QueueGone(BrokerError):
    """The session's queue is gone."""

    code = "queue_gone"


class DatabaseError(PromisePubError):
    """The database failed."""

    code = "database_failed"


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached."""

    code = "database_unavailable"
    passes = True


class DatabaseRefused(DatabaseError):
    """The database refused the connection."""

    code = "database_refused"


class RightsMissing(DatabaseRefused):
    """The database's role lacks a right."""

    code = "database_rights"


class DatabaseUnfit(DatabaseError):
    """The database cannot be used as it is set up."""

    code = "database_unfit"


class DatabaseTooOld(DatabaseUnfit):
    """The database's PostgreSQL is too old."""

    code = "database_too_old"


class DatabaseNotUtf8(DatabaseUnfit):
    """The database's encoding is not UTF8."""

    code = "database_encoding"


class DatabaseReadOnly(DatabaseUnfit):
    """The database is read-only: it is a standby, or default_transaction_read_only is on."""

    code = "database_read_only"


class DatabasePooled(DatabaseUnfit):
    """A connection pooler gives each transaction another connection, so that locks do not hold. Set its pool_mode to session, or connect to PostgreSQL itself."""

    code = "database_pooled"


class SchemaMissing(DatabaseError):
    """The database lacks tables or columns: create them with `promise-pub schema --apply`."""

    code = "schema_missing"


class CannotListen(PromisePubError):
    """The server cannot listen on its address."""

    code = "cannot_listen"

    @classmethod
    def at(cls, host: str, port: int, error: OSError) -> Self:
        """Words the error as the system does; asyncio's words repeat the address."""
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror
        return cls(f"Cannot listen on {join_host_port(host, port)}: {reason}")


class RunTaken(PromisePubError):
    """Another server on this database has taken over the run."""

    code = "run_taken"


class RunDeleted(RunTaken):
    """The run was deleted from the database."""

    code = "run_deleted"


class Cancelled(PromisePubError):
    """The run was cancelled."""

    code = "cancelled"


class Interrupted(PromisePubError):
    """The server stopped, or lost the run to another one."""

    code = "interrupted"
    passes = True


class StoredFileError(PromisePubError):
    """The stored file is missing or cannot be read."""

    code = "stored_file"


class LocalStackError(PromisePubError):
    """A part of the local stack failed."""

    code = "local_stack"


class PartMissing(LocalStackError):
    """A part of the local stack is not installed."""

    code = "part_missing"


class PartFailed(LocalStackError):
    """A part of the local stack did not start."""

    code = "part_failed"


class ServerAnswerError(PromisePubError):
    """The promise-pub server did not do what was asked."""

    code = "server_answer"


class ServerAway(ServerAnswerError):
    """The promise-pub server does not answer, or says that it is unavailable."""

    code = "server_away"
    passes = True


class Internal(PromisePubError):
    """The server failed; its log says how."""

    code = "internal"


class Stopped(PromisePubError):
    """Stopped before the end."""

    code = "stopped"


def find_classes(root: type[PromisePubError] = PromisePubError) -> Iterator[type[PromisePubError]]:
    """Yields this class of error and all below it."""
    yield root
    for below in root.__subclasses__():
        yield from find_classes(below)


def find_class(code: str) -> type[PromisePubError]:
    """Returns the class with this code; PromisePubError for a code that only another version knows."""
    return next((kind for kind in find_classes() if kind.code == code), PromisePubError)
