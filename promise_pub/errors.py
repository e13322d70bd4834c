"""Every way promise-pub can fail, one class each.

    PromisePubError
    ├── ConfigurationError          the INI file, the environment or the command line
    ├── RequestError                what a client sent
    │   ├── BadParameter
    │   ├── FileMissing
    │   ├── UploadIncomplete
    │   ├── UploadTooSlow
    │   ├── FileTooLarge
    │   ├── DiskFull
    │   ├── NoUsableRow
    │   ├── BadHeader
    │   ├── NotCsv
    │   ├── RunNotFound
    │   ├── SessionNotFound
    │   └── WrongState
    │       ├── NotResumable
    │       ├── NotRepeatable
    │       ├── NotCancellable
    │       └── NotClearable
    ├── AccessError                 who may in
    │   ├── LoginRequired
    │   ├── LoginFailed
    │   ├── TooManyTries
    │   ├── TokenRefused
    │   ├── NotAllowed
    │   ├── CrossSite
    │   └── WrongHost
    ├── AccountError                users and tokens, as the command line keeps them
    │   ├── AccountExists
    │   └── AccountMissing
    ├── ServerBusy                  try again later
    │   ├── TooManyWaiting
    │   └── ServerStopping
    ├── ConsumerError               the remote consumer
    │   ├── ConsumerUnreachable
    │   ├── ConsumerTimeout
    │   ├── ConsumerRefused
    │   ├── ConsumerComplaint
    │   ├── ConsumerGarbage
    │   ├── ConsumerStalled
    │   └── SessionLost
    ├── BrokerError                 RabbitMQ
    │   ├── BrokerUnreachable
    │   ├── BrokerRefused
    │   ├── BrokerLost
    │   └── QueueGone
    ├── DatabaseError               PostgreSQL
    │   ├── DatabaseUnavailable
    │   ├── DatabaseRefused
    │   │   └── RightsMissing
    │   ├── DatabaseUnfit           what no right and no table would cure
    │   │   ├── DatabaseTooOld
    │   │   ├── DatabaseNotUtf8
    │   │   ├── DatabaseReadOnly
    │   │   └── DatabasePooled
    │   ├── SchemaMissing
    │   └── HitRefused
    ├── CannotListen                the web server's address
    ├── RunTaken                    another server has the run now
    ├── StoredFileError             the uploaded file is no longer what was stored
    ├── ImportRefused               a file of page hits holds what is none
    ├── LocalStackError             what `serve --local` starts
    │   ├── PartMissing
    │   └── PartFailed
    ├── ServerAnswerError           `promise-pub send` and `runs`, of the server they ask
    │   └── ServerAway
    └── Stopped                     whoever ran a command ended it

`code` is stable: scripts may test it. The class docstring is the message unless one is given.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from promise_pub.addresses import place

if TYPE_CHECKING:
    from promise_pub.records import Rejected, SessionView


class PromisePubError(Exception):
    """promise-pub failed. `details` are further sentences, for which a command has lines of their own."""

    code: ClassVar[str] = "error"
    passes = False
    """May pass by itself, so that trying again is of use. Everything else lasts until somebody changes something."""

    def __init__(self, message: str | None = None, details: Sequence[str] = ()) -> None:
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        self.details = tuple(details)
        super().__init__(self.message)


class ConfigurationError(PromisePubError):
    """The configuration is not usable."""

    code = "configuration"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class RequestError(PromisePubError):
    """The request cannot be served as it is."""

    code = "bad_request"


class BadParameter(RequestError):
    """A parameter is not one of its values."""

    code = "bad_parameter"


class FileMissing(RequestError):
    """No file was sent: put the CSV into the form field input_file, or send it as the body with Content-Type text/csv."""

    code = "no_file"


class UploadIncomplete(RequestError):
    """The upload ended before the file was whole."""

    code = "upload_incomplete"


class UploadTooSlow(RequestError):
    """The upload came in too slowly and was cut off."""

    code = "upload_too_slow"


class FileTooLarge(RequestError):
    """The file is over the server's limit."""

    code = "file_too_large"


class DiskFull(RequestError):
    """The server's disk is full: the upload was not kept."""

    code = "disk_full"


class NoUsableRow(RequestError):
    """The file holds no usable row."""

    code = "no_usable_row"

    def __init__(self, message: str | None = None, rejected: Sequence[Rejected] = ()) -> None:
        self.rejected = tuple(rejected)
        super().__init__(message)


class BadHeader(RequestError):
    """The file's header cannot name the columns."""

    code = "bad_header"


class NotCsv(RequestError):
    """The file is no CSV."""

    code = "not_csv"


class RunNotFound(RequestError):
    """There is no such run."""

    code = "run_not_found"


class SessionNotFound(RequestError):
    """There is no such session of a visitor."""

    code = "session_not_found"


class WrongState(RequestError):
    """The run's state does not allow this."""

    code = "wrong_state"


class NotResumable(WrongState):
    """The run cannot be gone on with."""

    code = "not_resumable"


class NotRepeatable(WrongState):
    """The run cannot be made again."""

    code = "not_repeatable"


class NotCancellable(WrongState):
    """The run has ended already."""

    code = "not_cancellable"


class NotClearable(WrongState):
    """The employees table cannot be emptied."""

    code = "not_clearable"


class AccessError(PromisePubError):
    """This is not for you."""

    code = "access"


class LoginRequired(AccessError):
    """Log in, or send a token: as Authorization: Bearer; promise-pub takes it from $PROMISE_PUB_TOKEN."""

    code = "login_required"


class LoginFailed(AccessError):
    """The name or the password is wrong."""

    code = "login_failed"


class TooManyTries(AccessError):
    """Too many logins failed. After `retry_after` seconds one may be tried again."""

    code = "too_many_tries"

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"Too many logins failed: try again in {retry_after} seconds.")


class TokenRefused(AccessError):
    """The token is unknown, expired or revoked."""

    code = "token_refused"


class NotAllowed(AccessError):
    """A viewer may look; this takes an operator."""

    code = "not_allowed"


class CrossSite(AccessError):
    """Another site's page asked for this: nothing was done."""

    code = "cross_site"


class WrongHost(AccessError):
    """The server does not answer to this name."""

    code = "wrong_host"


class AccountError(PromisePubError):
    """The account is not as it would have to be."""

    code = "account"


class AccountExists(AccountError):
    """There is an account of this name already."""

    code = "account_exists"


class AccountMissing(AccountError):
    """There is no account of this name."""

    code = "account_missing"


class ServerBusy(PromisePubError):
    """The server cannot take another run now."""

    code = "busy"
    passes = True


class TooManyWaiting(ServerBusy):
    """Too many runs are waiting already."""

    code = "too_many_waiting"


class ServerStopping(ServerBusy):
    """The server is stopping."""

    code = "server_stopping"


class ConsumerError(PromisePubError):
    """The consumer failed. `last` is the session as it was last seen, if it was, or the one that a bad answer names.

    `unanswered`: it was asked for a session and may have made one, which nobody knows.
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

    def __init__(self, message: str | None = None, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class ConsumerComplaint(ConsumerError):
    """The consumer answered with a plain-text complaint."""

    code = "consumer_complaint"


class ConsumerGarbage(ConsumerError):
    """The consumer's answer is not what the contract says."""

    code = "consumer_garbage"


class ConsumerStalled(ConsumerError):
    """The consumer stopped making progress."""

    code = "consumer_stalled"


class SessionLost(ConsumerError):
    """The session cannot be gone on with: it takes a new one."""

    code = "session_lost"


class BrokerError(PromisePubError):
    """The broker failed."""

    code = "broker_failed"


class BrokerUnreachable(BrokerError):
    """The broker cannot be reached."""

    code = "broker_unreachable"
    passes = True


class BrokerRefused(BrokerError):
    """The broker refused the connection, or what was asked of it."""

    code = "broker_refused"

    def __init__(self, message: str | None = None, *, passes: bool = False) -> None:
        self.passes = passes
        super().__init__(message)


class BrokerLost(BrokerError):
    """The connection to the broker was lost.

    `confirmed` rows had been confirmed by then.
    """

    code = "broker_lost"
    passes = True

    def __init__(self, message: str | None = None, confirmed: int = 0) -> None:
        self.confirmed = confirmed
        super().__init__(message)


class QueueGone(BrokerError):
    """The session's queue is gone."""

    code = "queue_gone"


class DatabaseError(PromisePubError):
    """The database failed."""

    code = "database_failed"

    def __init__(self, message: str | None = None, *, passes: bool | None = None) -> None:
        if passes is not None:
            self.passes = passes
        super().__init__(message)


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
    """A pooler before the database gives each transaction another connection: locks and statements do not hold. Set its pool_mode to session, or connect to PostgreSQL itself."""

    code = "database_pooled"


class SchemaMissing(DatabaseError):
    """The database lacks tables or columns of promise-pub: create them with `promise-pub schema --apply`."""

    code = "schema_missing"


class HitRefused(DatabaseError):
    """The database cannot keep a page hit as it is."""

    code = "hit_refused"


class CannotListen(PromisePubError):
    """The server cannot listen on its address."""

    code = "cannot_listen"

    @classmethod
    def at(cls, host: str, port: int, error: OSError) -> Self:
        """In the system's own words: asyncio's tell the address once more."""
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror
        return cls(f"Cannot listen on {place(host, port)}: {reason}")


class RunTaken(PromisePubError):
    """Another server on this database has taken the run."""

    code = "run_taken"


class StoredFileError(PromisePubError):
    """The stored file is gone or cannot be read."""

    code = "stored_file"


class ImportRefused(PromisePubError):
    """The file holds what is no page hit. Nothing of it was taken."""

    code = "import_refused"


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
    """The promise-pub server does not answer, or says itself that it cannot now."""

    code = "server_away"
    passes = True


class Stopped(PromisePubError):
    """Stopped before the end."""

    code = "stopped"
