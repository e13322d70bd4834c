"""The parameters of a run. Each is defined once, as a field of `Parameters`.

Forms, queries, the command line, the API's description, the curl command, the comparison and the ledger take from that
field all they know of it: its text in a request, its value in JSON and in the ledger, its limits, its words. A new
parameter takes a field here, a column in scheme.sql and an input in templates/index.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Self

from promise_pub import json_schema, shapes
from promise_pub.errors import BadParameter
from promise_pub.json_schema import Schema
from promise_pub.parameters.columns import COLUMNS_PATTERN, NAME_AND_MAIL, parse_columns
from promise_pub.parameters.gate import MAX_TEXT, Gate, join_gates, parse_gate
from promise_pub.parameters.rate_profile import MAX_RATE, PROFILE_PATTERN, format_profile, parse_profile
from promise_pub.shapes import Field, Shape, record

FILE_FIELD = "input_file"
"""The field of a form that holds the file."""

MAX_TIMEOUT = 3600  # seconds

DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t"}  # by name
# By the names a client may use, in lower case. Supersets of ASCII in which no byte of another character is one of
# ASCII's, so that line ends, quotes and delimiters are single bytes wherever one starts to look: what makes a byte
# offset a checkpoint, and reading linear. UTF-16 is none, nor are Shift JIS, GBK and Big5.
ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-1": "latin-1",
    "cp1252": "cp1252",
    "windows-1252": "cp1252",
    "iso-8859-15": "iso-8859-15",
    "latin-9": "iso-8859-15",
}


class Mode(StrEnum):
    """The time at which the consumer reads: while rows arrive, or once all of them have."""

    LIVE = "live"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """The definition of one parameter.

    `parse` reads the text of a request, given its name too, and raises BadParameter; `format` writes that text, and
    `schema` describes it. `shape` is the value's in a run's JSON, and in the ledger unless `store` makes another of it
    that the shape reads as well. `metavar` stands for the value on the command line; a flag has none.
    """

    name: str = ""
    default: Any
    metavar: str = ""
    help: str
    parse: Callable[[str, str], Any]
    format: Callable[[Any], str] = str
    schema: Schema
    shape: Shape
    store: Callable[[Any], Any] | None = None
    of_file: bool = False
    """Describes the file, not how it is sent."""
    join: Callable[[Sequence[str]], str] | None = None
    """Makes one text of several; without it, the parameter is given once."""
    may_be_empty: bool = False
    """Is left out where a form sends it empty, as browsers do with inputs that nobody filled in."""

    def as_request(self, value: Any) -> Any:
        """Returns the value as `schema` describes it; None where there is none."""
        return value if value is None or isinstance(value, int) else self.format(value)


def _flag(help: str, **more: Any) -> Parameter:
    def parse(name: str, text: str) -> bool:
        if text not in ("true", "false"):
            raise BadParameter(f"{name} must be true or false, not {text[:50]!r}.")
        return text == "true"

    def write(value: bool) -> str:
        return "true" if value else "false"

    return Parameter(
        default=False, help=help, parse=parse, format=write, schema=json_schema.FLAG, shape=shapes.FLAG, **more
    )


def _whole(default: int, maximum: int, unit: str, metavar: str, help: str) -> Parameter:
    def parse(name: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > maximum:
            raise BadParameter(f"{name} must be a whole number of {unit} from 0 to {maximum}, not {text[:50]!r}.")
        return int(text)

    schema = {**json_schema.COUNT, "maximum": maximum}
    return Parameter(default=default, metavar=metavar, help=help, parse=parse, schema=schema, shape=shapes.COUNT)


def _choice(
    default: Any,
    values: Mapping[str, Any],
    allowed: str,
    metavar: str,
    help: str,
    *,
    shape: Shape | None = None,
    fold: Callable[[str], str] = str,
    of_file: bool = False,
) -> Parameter:
    """Defines a parameter with one of these values, each known by one name or more; `allowed` lists the names."""
    names: dict[Any, str] = {value: name for name, value in reversed([*values.items()])}

    def parse(name: str, text: str) -> Any:
        value = values.get(fold(text), text if text in names else None)
        if value is None:
            raise BadParameter(f"{name} must be {allowed}, not {text[:50]!r}.")
        return value

    def write(value: Any) -> str:
        return names.get(value, str(value))

    return Parameter(
        default=default,
        metavar=metavar,
        help=help,
        parse=parse,
        format=write,
        schema={**json_schema.TEXT, "enum": [*values]},
        shape=shape or Shape(json_schema.TEXT, write, lambda written: values.get(written, written)),
        store=str,
        of_file=of_file,
    )


_PROFILE = Parameter(
    default=(),
    metavar="ROWS:SECONDS,…",
    help="Rows a second and for how many seconds, step by step, repeated to the end; instead of `rate`.",
    parse=lambda _, text: parse_profile(text),
    format=format_profile,
    schema={**json_schema.TEXT, "pattern": PROFILE_PATTERN, "example": "100:10,1000:5"},
    shape=Shape(
        json_schema.nullable(json_schema.TEXT),
        lambda steps: format_profile(steps) or None,
        lambda text: parse_profile(text or ""),
    ),
    may_be_empty=True,
)
_COLUMNS = Parameter(
    default=NAME_AND_MAIL,
    metavar="NAME,…",
    help="The keys of the messages, all different.",
    parse=lambda _, text: parse_columns(text),
    format=",".join,
    schema={**json_schema.TEXT, "pattern": COLUMNS_PATTERN},
    shape=shapes.array(shapes.TEXT),
    of_file=True,
    may_be_empty=True,
)

_FAIL_IF = Parameter(
    default=None,
    metavar="EXPR",
    help="Fail the run where this is true, as in `saved < accepted or p99 > 50ms`; several are joined by `or`.",
    parse=lambda _, text: parse_gate(text),
    format=lambda gate: gate.text if gate else "",
    schema={**json_schema.TEXT, "maxLength": MAX_TEXT, "format": "gate", "example": "saved < accepted or p99 > 50ms"},
    shape=shapes.nullable(Shape(json_schema.TEXT, lambda gate: gate.text, parse_gate)),
    join=join_gates,
    may_be_empty=True,
)


def _field(parameter: Parameter) -> Any:
    return field(default=parameter.default, metadata={"parameter": parameter})


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one run.

    With `header` the file's first line names the columns: `columns` is empty until a run is made of the file.
    """

    mode: Mode = _field(
        _choice(
            Mode.LIVE,
            {mode.value: mode for mode in Mode},
            " or ".join(Mode),
            "live|batch",
            "`live`: the consumer reads while rows arrive; `batch`: once all of them are there.",
            shape=shapes.one_of(Mode),
        )
    )
    timeout: int = _field(
        _whole(
            5,
            MAX_TIMEOUT,
            "seconds",
            "SECONDS",
            "The consumer ends the session once the queue has been empty for this many seconds.",
        )
    )
    clear: bool = _field(_flag("Empty the `employees` table first: all of its rows, those of earlier runs too."))
    rate: int = _field(_whole(0, MAX_RATE, "rows a second", "ROWS", "Rows a second at most; 0 for no limit."))
    profile: tuple[tuple[int, float], ...] = _field(_PROFILE)
    fail_if: Gate | None = _field(_FAIL_IF)
    columns: tuple[str, ...] = _field(_COLUMNS)
    header: bool = _field(_flag("Take the keys from the file's first line; instead of `columns`.", of_file=True))
    delimiter: str = _field(
        _choice(
            ",",
            DELIMITERS,
            f"one of {' '.join(DELIMITERS)}",
            "CHARACTER",
            "The character between fields, or `tab`.",
            of_file=True,
        )
    )
    encoding: str = _field(
        _choice(
            "utf-8",
            ENCODINGS,
            f"one of {', '.join(ENCODINGS)}",
            "NAME",
            "The file's encoding.",
            fold=str.lower,
            of_file=True,
        )
    )

    def as_json(self) -> dict[str, Any]:
        """Returns the values by name, as a run's JSON has them."""
        return PARAMETERS_SHAPE.encode(self)  # type: ignore[no-any-return]

    def list_changed(self) -> list[tuple[Parameter, Any]]:
        """Returns the parameters that differ from their defaults, with their values."""
        values = [(one, getattr(self, one.name)) for one in RUN_PARAMETERS]
        return [(one, value) for one, value in values if value != one.default]

    def as_columns(self) -> dict[str, Any]:
        """Returns the values by the names of the ledger's columns."""
        return {one.name: (one.store or one.shape.encode)(getattr(self, one.name)) for one in RUN_PARAMETERS}

    @classmethod
    def from_columns(cls, row: Mapping[str, Any]) -> Self:
        """Reads what `as_columns` made."""
        return cls(**{one.name: one.shape.decode(row[one.name]) for one in RUN_PARAMETERS})


RUN_PARAMETERS = tuple(replace(one.metadata["parameter"], name=one.name) for one in fields(Parameters))
FILE_PARAMETERS = tuple(one for one in RUN_PARAMETERS if one.of_file)
DRY_RUN = _flag("Read and check all of the file; publish nothing and make no run.", name="dry_run")
PARAMETERS = (*RUN_PARAMETERS, DRY_RUN)
"""The parameters of a request for a run."""

# Every JSON of a run has all of them; an older server's may lack the newest.
PARAMETERS_SHAPE = record(Parameters, *(Field(one.name, one.shape, one.help, newer=True) for one in RUN_PARAMETERS))


def join_given(given: Iterable[tuple[str, str]], known: Sequence[Parameter] = PARAMETERS) -> dict[str, str]:
    """Returns texts by name, as a query or a form has them. Raises BadParameter for one that is wrongly given twice."""
    joins = {one.name: one.join for one in known}
    texts: dict[str, list[str]] = {}
    for name, text in given:
        texts.setdefault(name, []).append(text)
        if len(texts[name]) > 1 and not joins.get(name):
            raise BadParameter(f"{name[:50]} is given more than once.")
    return {
        name: join(several) if (join := joins.get(name)) and len(several) > 1 else several[0]
        for name, several in texts.items()
    }


def parse_values(given: Mapping[str, str], known: Sequence[Parameter] = PARAMETERS) -> dict[str, Any]:
    """Returns the values of the known parameters that are given. Raises BadParameter naming the first wrong one."""
    by_name = {one.name: one for one in known}
    values = {name: by_name[name].parse(name, text) for name, text in given.items() if name in by_name}
    if values.get("header"):
        if values.get("columns"):
            raise BadParameter("header=true takes the columns from the file's first line: leave columns out.")
        values["columns"] = ()
    elif values.get("columns") == ():
        raise BadParameter("columns must name at least one column, as in name,mail.")
    if values.get("rate") and values.get("profile"):
        raise BadParameter("rate and profile are two ways to set the speed: leave one of them out.")
    return values
