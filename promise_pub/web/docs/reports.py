"""The descriptions of requests for reports to hand on."""

from __future__ import annotations

from promise_pub import errors
from promise_pub.delivery.evidence.blocks import MAX_BLOCKS
from promise_pub.http.openapi.answers import DATABASE, Operation, answer, formats, not_modified, problems
from promise_pub.http.openapi.parameters import IF_NONE_MATCH
from promise_pub.json_schema import ref
from promise_pub.web.docs.parameters import RUN_ID

_NAMED = ("Content-Disposition", "ETag")


def show_report() -> Operation:
    return {
        "operationId": "showReport",
        "tags": ["runs"],
        "summary": "A run on one page, in a file that needs no server",
        "description": "Its style is in it, and nothing else is loaded: to save, to send, to print.",
        "parameters": [RUN_ID, IF_NONE_MATCH],
        "responses": {
            "200": answer("The page.", formats(), *_NAMED),
            "304": not_modified("ETag"),
            **problems((errors.RunNotFound, *DATABASE)),
        },
    }


def tell_report() -> Operation:
    return {
        "operationId": "tellReport",
        "tags": ["runs"],
        "summary": "A run, and hashes of the records in its file",
        "description": "`promise-pub verify` proves offline with it that a file is the one that was sent, and names the first record "
        f"that is another: exactly in files of up to {MAX_BLOCKS:,} records, and in larger ones as one of so many blocks. "
        "The file is read for it, which takes seconds for a million rows.",
        "parameters": [RUN_ID, IF_NONE_MATCH],
        "responses": {
            "200": answer("The report.", formats(ref("Report"), html=False), *_NAMED),
            "304": not_modified("ETag"),
            **problems((errors.RunNotFound, errors.TooManyWaiting, *DATABASE)),
        },
    }
