"""Errors in people's words: what happened, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

_BY_CODE: Mapping[str, str] = {
    "no_file": "Choose a CSV on the form, then send it.",
    "upload_incomplete": "Nothing was run. Send the file again; if it breaks off again, look at the line between.",
    "upload_too_slow": "Nothing was run. Send the file again over a quicker line, or have the server's [server] "
    "min_upload_rate lowered.",
    "file_too_large": "Split the file, or have the server's [server] max_upload raised.",
    "disk_full": "Have room made on the server's disk, then send the file again; nothing of it was kept.",
    "no_usable_row": "See what is wrong with the first lines. If the columns, the delimiter or the encoding are others, "
    "say so: on the form, or by --columns, --header, --delimiter and --encoding.",
    "not_csv": "Nothing was run. Spreadsheets make a CSV by File, Save As; choose CSV UTF-8.",
    "run_not_found": "Look for it in the list of runs: its address may have lost a letter.",
    "session_not_found": "Look for it in the list of visits: it may be older than what is kept, or was to be forgotten.",
    "not_resumable": "Look at the run's page: it tells how it ended. The file can be sent again as a new run.",
    "not_cancellable": "Look at the run's page: it tells how it ended.",
    "not_clearable": "Send the file without clear, or have the table's owner see to what is named above.",
    "login_required": "Log in first. Scripts send a token.",
    "login_failed": "Check the name and the password; whoever keeps the server can set a new one.",
    "too_many_tries": "Wait until then. Those who are logged in, and tokens, are not held up.",
    "token_refused": "Have a new token made: promise-pub token add.",
    "not_allowed": "Have the role of your account, or of your token, changed to operator.",
    "cross_site": "If it was you, do it from this server's own pages.",
    "wrong_host": "Use an address that the server was set up for, or have this one added to [server] hosts.",
    "too_many_waiting": "Wait until some runs have ended, then send the file again.",
    "server_stopping": "Send it again in a moment, when the server is back.",
    "schema_missing": "Have the tables created: promise-pub schema --apply.",
    "database_rights": "Have the rights that are named above granted.",
    "database_read_only": "Have the server's [database] section name the primary, then start it again.",
    "database_pooled": "Have the pooler's pool_mode set to session, then the server started again.",
    "database_failed": "The database's own words tell what failed. Have whoever keeps it look into it, then try again.",
    "database_refused": "The database's own words tell what it refuses. Have that right granted to the [database] "
    "user of the server's configuration, or the configuration corrected.",
    "consumer_refused": "The consumer answered, with an error; its own words and its log tell why. Have that mended, then "
    "try again.",
    "consumer_complaint": "The consumer answered, with a complaint; its own words and its log tell why. Have that mended, "
    "then try again.",
    "consumer_garbage": "Something answered that is no consumer, or keeps to no contract: see that [consumer] of the "
    "server's configuration names the one that is meant.",
    "consumer_stalled": "See in the consumer's log what it waits for, or have [consumer] stall_timeout of the server's "
    "configuration raised; then resume the run.",
    "session_lost": "See in the consumer's log why it ended the session, then resume the run.",
    "queue_gone": "See who removed the session's queue, the consumer or somebody at the broker; then resume the run.",
    "broker_refused": "The broker's own words tell what it refuses. Have that right given to the [rabbit] user of the "
    "server's configuration (publishing takes the write permission on amq.default: rabbitmqctl set_permissions), the "
    "limit raised, or the configuration corrected; then resume the run.",
}
"""Where more can be said than the status does."""

_BY_STATUS: Mapping[int, str] = {
    400: "Change what is named above, then try again.",
    401: "Log in first. Scripts send a token.",
    403: "Ask whoever keeps the server for the right to do this.",
    404: "Check the address, or go on from one of the pages above.",
    405: "Go on from one of the pages above.",
    408: "Try again over a quicker line.",
    409: "Look at it again: it has changed meanwhile.",
    413: "Send less at once.",
    421: "Use the server's own address.",
    422: "Change what is named above, then try again.",
    429: "Wait a while, then try again.",
    500: "Try again. If it stays so, the server's log tells whoever keeps it what happened, and when.",
    502: "See that the consumer and the broker are up (the server's /readyz tells), then try again.",
    503: "Try again in a moment; the server's /readyz tells which part is away.",
    507: "Have room made on the server's disk.",
}


_TITLES: Mapping[int, str] = {
    400: "That cannot be done as it is",
    401: "Who are you?",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not this way",
    408: "Too slow",
    409: "Not in this state",
    413: "Too large",
    421: "Not this server's name",
    422: "No usable row",
    429: "Too many tries",
    500: "The server failed",
    502: "The consumer or the broker failed",
    503: "Not available now",
    507: "No room left",
}


def title_of(status: int) -> str:
    """What happened, in a few words; HTTP's own for what nobody has thought of."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def what_to_do(status: int, code: str) -> str:
    """One sentence or two; none for a status that nobody has thought of."""
    return _BY_CODE.get(code) or _BY_STATUS.get(status, "")
