"""INI file and environment → frozen dataclasses, cast once.

Each section is a dataclass, each option a field: its default, its cast, whether it is mandatory. The file, the
environment (`PROMISE_PUB_{SECTION}_{OPTION}`) and the documentation in `production.ini` all follow from that.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from promise_pub import casts
from promise_pub.errors import ConfigurationError

FILE_NAME = "production.ini"
ENVIRONMENT_PREFIX = "PROMISE_PUB_"
CONFIG_VARIABLE = "PROMISE_PUB_CONFIG"

_PACKAGE = Path(__file__).parent
_OPTION_NAME = re.compile(r"[a-z0-9_-]{1,40}")


def asset(name: str) -> Path:
    """The path of `templates`, `static`, `scheme.sql` or `production.ini`: in the checkout, or in the installed package."""
    installed = _PACKAGE / "assets" / name
    return installed if installed.exists() else _PACKAGE.parent / name


_PORT = casts.whole(1, 65535)
_LISTENING_PORT = casts.whole(0, 65535)


def _option(cast: Callable[[str], Any], default: Any = MISSING, *, secret: bool = False) -> Any:
    """One option; without a default it is mandatory. A secret stays out of `repr`."""
    return field(default=default, metadata={"cast": cast}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The web server. `port` 0 takes a free one; `max_upload` in bytes, `keep_uploads` in days.

    `on_restart`: whether runs that a dead server left are only marked as interrupted, or resumed.
    `auth`: whether users log in. `hosts`: names it answers to besides its addresses. `max_header`: bytes of the request
    line, and of each header; `max_headers` of these. `max_fields` of a form, `max_parameters` of a query.
    `min_upload_rate` in bytes a second, 0 for none. Timeouts in seconds.
    """

    host: str = _option(casts.text, "127.0.0.1")
    port: int = _option(_LISTENING_PORT, 8000)
    uploads: Path = _option(casts.folder, Path("uploads"))
    max_upload: int = _option(casts.size, 2 * 1024**3)
    keep_uploads: int = _option(casts.whole(0, 36_500), 30)
    max_waiting: int = _option(casts.whole(0, 100_000), 100)
    on_restart: str = _option(casts.one_of("mark", "resume"), "mark")
    ssl_certificate: Path | None = _option(casts.file, None)
    ssl_key: Path | None = _option(casts.file, None)
    auth: str = _option(casts.one_of("off", "users"), "off")
    login_hours: int = _option(casts.whole(1, 8760), 12)
    hosts: tuple[str, ...] = _option(casts.host_names, ())
    log_format: str = _option(casts.one_of("text", "json"), "text")
    log_level: str = _option(casts.one_of("debug", "info", "warning", "error"), "info")
    max_header: int = _option(casts.size_within(1024, 64 * 1024), 8 * 1024)
    max_headers: int = _option(casts.whole(16, 1000), 64)
    max_fields: int = _option(casts.whole(1, 1000), 20)
    max_parameters: int = _option(casts.whole(1, 1000), 40)
    min_upload_rate: int = _option(casts.size_within(0, 1024**3), 1024)
    max_connections: int = _option(casts.whole(1, 100_000), 1000)
    header_timeout: float = _option(casts.seconds, 20.0)
    idle_timeout: float = _option(casts.seconds, 75.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitSettings:
    """The broker. `window` is how many messages may be unconfirmed at once, `heartbeat` in seconds."""

    host: str = _option(casts.text)
    port: int = _option(_PORT, 5672)
    user: str = _option(casts.text, "guest")
    password: str = _option(str, "guest", secret=True)
    vhost: str = _option(casts.text, "/")
    ssl: bool = _option(casts.flag, False)
    ca_certificate: Path | None = _option(casts.file, None)
    window: int = _option(casts.whole(1, 1_000_000), 1024)
    heartbeat: int = _option(casts.whole(1, 3600), 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerSettings:
    """The consumer under test, or, for `promise-pub consumer`, where the bundled one listens. Timeouts in seconds."""

    host: str = _option(casts.text)
    port: int = _option(_LISTENING_PORT)
    healthcheck_url: str = _option(casts.url_path, "/healthcheck/")
    create_url: str = _option(casts.url_path, "/create/")
    remove_url: str = _option(casts.url_path, "/remove/")
    process_url: str = _option(casts.url_path, "/process/")
    getsession_url: str = _option(casts.url_path, "/getSession/")
    connect_timeout: float = _option(casts.seconds, 5.0)
    answer_timeout: float = _option(casts.seconds, 10.0)
    stall_timeout: float = _option(casts.seconds, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """PostgreSQL. `host` is a name, or the folder of a Unix socket, which takes no `ssl`."""

    host: str = _option(casts.text, "localhost")
    port: int = _option(_PORT, 5432)
    dbname: str = _option(casts.text)
    user: str = _option(casts.text)
    password: str = _option(str, secret=True)
    ssl: bool = _option(casts.flag, False)
    ca_certificate: Path | None = _option(casts.file, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a process of promise-pub needs to know, section by section."""

    server: ServerSettings
    rabbit: RabbitSettings
    consumer: ConsumerSettings
    database: DatabaseSettings


SECTIONS: Mapping[str, type[Any]] = dict(get_type_hints(Settings))

Values = dict[str, dict[str, str]]
"""Sections and their options, not cast yet."""


def find(explicit: Path | None, environ: Mapping[str, str], *, search: bool = True) -> Path | None:
    """The configuration file to read: `-c`, `$PROMISE_PUB_CONFIG`, then, with `search`, the usual places.

    None when there is none. Raises ConfigurationError when one is named and does not exist.
    """
    named = explicit or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named:
        if not named.is_file():
            raise ConfigurationError([f"{named}: there is no such configuration file"])
        return named
    return (
        next((path for path in _usual_places(environ) if path.is_file()), None) if search else None
    )


def _usual_places(environ: Mapping[str, str]) -> Iterable[Path]:
    yield Path(FILE_NAME)
    # Not Path.expanduser, which raises where a user has no home.
    home = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    for folder in [home, *(environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]:
        if folder:
            yield Path(folder) / "promise-pub" / FILE_NAME


def read(path: Path | None, environ: Mapping[str, str]) -> Values:
    """The options set in the file and the environment, which wins.

    Raises ConfigurationError naming every unknown and every wrong one. What is missing is for `cast` to tell.
    """
    values, problems = _gather(path, environ)
    if problems:
        _, wrong = _cast_all(values, str(path), all_set=False)
        raise ConfigurationError([*problems, *wrong])
    return values


def _gather(path: Path | None, environ: Mapping[str, str]) -> tuple[Values, list[str]]:
    values = _read_file(path) if path else {}
    problems = [*_unknown(values, str(path)), *_over_several_lines(values, str(path))]
    for section, option, value in _from_environment(environ):
        values.setdefault(section, {})[option] = value
    return values, problems


def _read_file(path: Path) -> Values:
    parser = configparser.ConfigParser(interpolation=None, default_section="\0none")
    try:
        with path.open(encoding="utf-8-sig") as file:
            parser.read_file(file)
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from error
    # These quote the offending source, which may hold a password: name the place only.
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: is not UTF-8 text: byte {error.start + 1}"]) from None
    except configparser.Error as error:
        raise ConfigurationError(_syntax_problems(path, error)) from None
    return {name: dict(parser[name]) for name in parser.sections()}


def _syntax_problems(path: Path, error: configparser.Error) -> list[str]:
    if isinstance(error, configparser.DuplicateOptionError):
        return [f"{path}: [{error.section}] {_shown(error.option)}: is set twice"]
    if isinstance(error, configparser.DuplicateSectionError):
        return [f"{path}: [{error.section}]: stands there twice"]
    if isinstance(error, configparser.MissingSectionHeaderError):
        return [f"{path}: line {error.lineno}: stands before any [section]"]
    lines = sorted({number for number, _ in getattr(error, "errors", [])})
    return [f"{path}: line {line}: is neither a [section] nor an option = value" for line in lines]


def _shown(option: str) -> str:
    """An option's name, unless it may be something else: `password my=secret` has the name `password my`."""
    return option if _OPTION_NAME.fullmatch(option) else "(what stands before the = is no name)"


def _over_several_lines(values: Values, source: str) -> Iterable[str]:
    """configparser takes an indented line for more of the value above it; no option here has such a value."""
    for section, options in values.items():
        for name in [name for name, value in options.items() if "\n" in value]:
            del options[name]
            yield f"{source}: [{section}] {_shown(name)}: the line after it is indented, as if it belonged to it"


def _unknown(values: Values, source: str) -> Iterable[str]:
    for section, options in values.items():
        if section not in SECTIONS:
            yield f"{source}: [{section}]: there is no such section"
            continue
        known = {option.name for option in fields(SECTIONS[section])}
        yield from (
            f"{source}: [{section}] {_shown(name)}: there is no such option"
            for name in options
            if name not in known
        )


def _from_environment(environ: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    for section, kind in SECTIONS.items():
        for option in fields(kind):
            value = environ.get(f"{ENVIRONMENT_PREFIX}{section}_{option.name}".upper())
            if value is not None:
                yield section, option.name, value


def cast(values: Values, *, source: str = "configuration") -> Settings:
    """Settings out of what `read` gave. Raises ConfigurationError with every missing or wrong option, not the first."""
    options, problems = _cast_all(values, source)
    if problems:
        raise ConfigurationError(problems)
    return Settings(**{name: kind(**options[name]) for name, kind in SECTIONS.items()})


def _cast_all(
    values: Values, source: str, *, all_set: bool = True
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Every option that is set, cast, and what is wrong; with `all_set`, that includes what is missing."""
    options: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    problems: list[str] = []
    for section, kind in SECTIONS.items():
        given = values.get(section, {})
        for option in fields(kind):
            if missing(option, given):
                if all_set:
                    problems.append(f"[{section}] {option.name}: is mandatory and not set")
            elif _is_set(option, given):
                try:
                    options[section][option.name] = _cast(option, given[option.name])
                except ValueError as error:
                    problems.append(f"[{section}] {option.name}: {error}")
    problems.extend(_contradictions(values))
    return options, [f"{source}: {problem}" for problem in problems]


def _is_set(option: Field[Any], given: Mapping[str, str]) -> bool:
    """An empty value is the default, where there is one."""
    value = given.get(option.name)
    return value is not None and (option.default is MISSING or bool(value.strip()))


def _cast(option: Field[Any], value: str) -> Any:
    """A secret is taken as it is: what the environment holds may begin or end with a space."""
    return option.metadata["cast"](value.strip() if option.repr else value)


def missing(option: Field[Any], given: Mapping[str, str]) -> bool:
    """Whether a mandatory option is not set. An empty value is not set, but for a password, which may be empty."""
    if option.default is not MISSING:
        return False
    return option.name not in given or (option.repr and not given[option.name].strip())


def _contradictions(values: Values) -> Iterable[str]:
    server = values.get("server", {})
    if bool(server.get("ssl_certificate", "").strip()) != bool(server.get("ssl_key", "").strip()):
        yield "[server] ssl_certificate and ssl_key: are set together or not at all"
    database = values.get("database", {})
    if casts.SWITCH.get(database.get("ssl", "").lower()) and database.get("host", "").startswith(
        "/"
    ):
        yield "[database] ssl: is for a host, not for the folder of a Unix socket"


def unset_sections(values: Values) -> list[str]:
    """The sections that lack a mandatory value: what `serve --local` starts itself."""
    return [
        name
        for name, kind in SECTIONS.items()
        if any(missing(option, values.get(name, {})) for option in fields(kind))
    ]


def load(explicit: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in effect for a command. Raises ConfigurationError listing every problem."""
    environ = os.environ if environ is None else environ
    path = find(explicit, environ)
    source = str(path or "environment, without a configuration file")
    values, problems = _gather(path, environ)
    if problems:
        _, more = _cast_all(values, source)
        raise ConfigurationError([*problems, *more])
    return cast(values, source=source)
