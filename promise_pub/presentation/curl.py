"""The curl command that would repeat a run. Pure."""

from __future__ import annotations

import re
import shlex
from urllib.parse import urlencode

from promise_pub.parameters import FILE_FIELD
from promise_pub.records import RunReport

# In double quotes, so that the shell puts the token in.
_TOKEN = '-H "Authorization: Bearer $TOKEN"'


def format_curl(report: RunReport, origin: str, *, token: bool) -> str:
    """Returns one line for a POSIX shell, to run where the file is; with `token` it logs in by one.

    It names the parameters that differ from their defaults. Where a header names the columns, they are left out.
    """
    address = f"{origin}/simulate/"
    query = {
        one.name: one.format(value)
        for one, value in report.parameters.list_changed()
        if not (report.parameters.header and one.name == "columns")
    }
    if query:
        address += f"?{urlencode(query, safe=':,')}"
    words = [shlex.join(["curl", "-F", f"{FILE_FIELD}=@{_quote_for_form(report.file.name)}"])]
    return " ".join([*words, *([_TOKEN] if token else []), shlex.quote(address)])


def _quote_for_form(name: str) -> str:
    """Returns a file name as curl's -F takes it: quoted, or a comma or semicolon in it would be curl's.

    The name came with an upload. Its folders are cut off, so that no pasted command sends a file from elsewhere, and
    a lone - would be curl's standard input.
    """
    base = re.split(r"[/\\]", name)[-1]
    if base in ("", ".", ".."):
        base = "data.csv"
    quoted = ("./" if base == "-" else "") + base.replace('"', '\\"')
    return f'"{quoted}"' if re.search(r"[^\w.-]", base) else quoted
