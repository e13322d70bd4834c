"""The curl command that would repeat a run. Pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from typing import Any
from urllib.parse import urlencode

from promise_pub.records import Parameters, RunReport
from promise_pub.web.runs.forms import FILE_FIELD

_TOKEN = '-H "Authorization: Bearer $TOKEN"'  # in double quotes: the shell is to put the token in


def curl(report: RunReport, origin: str, *, token: bool) -> str:
    """One line for a POSIX shell, to be run where the file is. `token`: whether users log in here."""
    address = f"{origin}/simulate/"
    if query := asked(report.parameters):
        address += f"?{urlencode(query, safe=':,')}"
    words = [shlex.join(["curl", "-F", f"{FILE_FIELD}=@{_file(report.file.name)}"])]
    return " ".join([*words, *([_TOKEN] if token else []), shlex.quote(address)])


def asked(parameters: Parameters) -> dict[str, str]:
    """The parameters that are not as they are by themselves, as a request has them. A header names the columns."""
    return {
        field.name: written(value)
        for field in fields(parameters)
        if (value := getattr(parameters, field.name)) != field.default
        and not (parameters.header and field.name == "columns")
    }


def written(value: Any) -> str:
    """A parameter's value as a request has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        pairs = all(isinstance(one, tuple) for one in value)
        return ",".join(":".join(f"{n:.10g}" for n in one) if pairs else one for one in value)
    return str(value)


def _file(name: str) -> str:
    """A file name as curl's -F has it: quoted, or a comma or semicolon in it would be curl's.

    The name came with an upload. Its folders are left out, so that no pasted command sends a file from elsewhere, and
    a lone - would be curl's standard input.
    """
    base = re.split(r"[/\\]", name)[-1]
    if base in ("", ".", ".."):
        base = "data.csv"
    quoted = ("./" if base == "-" else "") + base.replace('"', '\\"')
    return f'"{quoted}"' if re.search(r"[^\w.-]", base) else quoted
