"""INI file and environment → frozen dataclasses, cast once.

Each section is a dataclass, each option a field: its default, its cast, whether it is mandatory. The file, the
environment (`PROMISE_PUB_{SECTION}_{OPTION}`) and the documentation in `production.ini` all follow from that.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from promise_pub.addresses import Network
from promise_pub.errors import ConfigurationError
from promise_pub.settings import casts, inifile
from promise_pub.settings.inifile import Values

FILE_NAME = "production.ini"
ENVIRONMENT_PREFIX = "PROMISE_PUB_"
CONFIG_VARIABLE = "PROMISE_PUB_CONFIG"

_PACKAGE = Path(__file__).parent.parent


def asset(name: str) -> Path:
    """The path of `templates`, `static`, `scheme.sql` or `production.ini`: in the checkout, or in the installed package."""
    installed = _PACKAGE / "assets" / name
    return installed if installed.exists() else _PACKAGE.parent / name


_PORT = casts.whole(1, 65535)
_LISTENING_PORT = casts.whole(0, 65535)


def option(cast: Callable[[str], Any], default: Any = MISSING, *, secret: bool = False) -> Any:
    """One option; without a default it is mandatory. A secret stays out of `repr`."""
    return field(default=default, metadata={"cast": cast}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The web server. `port` 0 takes a free one; `max_upload` in bytes, `keep_uploads` in days.

    `on_restart`: whether runs that a dead server left are only marked as interrupted, or resumed.
    `auth`: whether users log in. `hosts`: names it answers to besides its addresses. `trusted_proxies`: whose `X-Forwarded-For` is believed. `max_header`: bytes of the request
    line, and of each header; `max_headers` of these. `max_fields` of a form, `max_parameters` of a query.
    `min_upload_rate` in bytes a second, 0 for none. Timeouts in seconds.
    """

    host: str = option(casts.host, "127.0.0.1")
    port: int = option(_LISTENING_PORT, 8000)
    uploads: Path = option(casts.folder, Path("uploads"))
    max_upload: int = option(casts.size, 2 * 1024**3)
    keep_uploads: int = option(casts.whole(0, 36_500), 30)
    max_waiting: int = option(casts.whole(0, 100_000), 100)
    on_restart: str = option(casts.one_of("mark", "resume"), "mark")
    ssl_certificate: Path | None = option(casts.file, None)
    ssl_key: Path | None = option(casts.file, None)
    auth: str = option(casts.one_of("off", "users"), "off")
    login_hours: int = option(casts.whole(1, 8760), 12)
    hosts: tuple[str, ...] = option(casts.host_names, ())
    trusted_proxies: tuple[Network, ...] = option(casts.networks, ())
    log_format: str = option(casts.one_of("text", "json"), "text")
    log_level: str = option(casts.one_of("debug", "info", "warning", "error"), "info")
    max_header: int = option(casts.size_within(1024, 64 * 1024), 8 * 1024)
    max_headers: int = option(casts.whole(16, 1000), 64)
    max_fields: int = option(casts.whole(1, 1000), 20)
    max_parameters: int = option(casts.whole(1, 1000), 40)
    min_upload_rate: int = option(casts.size_within(0, 1024**3), 1024)
    max_connections: int = option(casts.whole(1, 100_000), 1000)
    header_timeout: float = option(casts.seconds, 20.0)
    idle_timeout: float = option(casts.seconds, 75.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitSettings:
    """The broker. `window` is how many messages may be unconfirmed at once, `heartbeat` in seconds."""

    host: str = option(casts.host)
    port: int = option(_PORT, 5672)
    user: str = option(casts.text, "guest")
    password: str = option(str, "guest", secret=True)
    vhost: str = option(casts.text, "/")
    ssl: bool = option(casts.flag, False)
    ca_certificate: Path | None = option(casts.authorities, None)
    window: int = option(casts.whole(1, 1_000_000), 1024)
    heartbeat: int = option(casts.whole(1, 3600), 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerSettings:
    """The consumer under test, or, for `promise-pub consumer`, where the bundled one listens. Timeouts in seconds."""

    host: str = option(casts.host)
    port: int = option(_LISTENING_PORT)
    healthcheck_url: str = option(casts.url_path, "/healthcheck/")
    create_url: str = option(casts.url_path, "/create/")
    remove_url: str = option(casts.url_path, "/remove/")
    process_url: str = option(casts.url_path, "/process/")
    getsession_url: str = option(casts.url_path, "/getSession/")
    connect_timeout: float = option(casts.seconds, 5.0)
    answer_timeout: float = option(casts.seconds, 10.0)
    stall_timeout: float = option(casts.seconds, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """PostgreSQL. `host` is a name, or the folder of a Unix socket, which takes no `ssl`."""

    host: str = option(casts.host_or_folder, "localhost")
    port: int = option(_PORT, 5432)
    dbname: str = option(casts.text)
    user: str = option(casts.text)
    password: str = option(str, secret=True)
    ssl: bool = option(casts.flag, False)
    ca_certificate: Path | None = option(casts.authorities, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a process of promise-pub needs to know, section by section."""

    server: ServerSettings
    rabbit: RabbitSettings
    consumer: ConsumerSettings
    database: DatabaseSettings
    features: Mapping[str, Any] = field(default_factory=dict)
    """The settings of features, by the names of their sections."""

    def sections(self) -> dict[str, Any]:
        """Returns all settings by section."""
        return {name: getattr(self, name) for name in SECTIONS} | dict(self.features)


Sections = Mapping[str, type[Any]]

SECTIONS: Sections = {
    "server": ServerSettings,
    "rabbit": RabbitSettings,
    "consumer": ConsumerSettings,
    "database": DatabaseSettings,
}
"""The sections that there are without features. Who reads a configuration hands in those of features as well."""


def find(explicit: Path | None, environ: Mapping[str, str], *, search: bool = True) -> Path | None:
    """The configuration file to read: `-c`, `$PROMISE_PUB_CONFIG`, then, with `search`, the usual places.

    None when there is none. Raises ConfigurationError when one is named and does not exist.
    """
    named = explicit or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named:
        if not named.is_file():
            raise ConfigurationError([f"{named}: there is no such configuration file"])
        return named
    return next((path for path in _usual_places(environ) if path.is_file()), None) if search else None


def _usual_places(environ: Mapping[str, str]) -> Iterable[Path]:
    yield Path(FILE_NAME)
    # Not Path.expanduser, which raises where a user has no home.
    home = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    for folder in [home, *(environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]:
        if folder:
            yield Path(folder) / "promise-pub" / FILE_NAME


def read(path: Path | None, environ: Mapping[str, str], sections: Sections = SECTIONS) -> Values:
    """The options set in the file and the environment, which wins.

    Raises ConfigurationError naming every unknown and every wrong one. What is missing is for `cast` to tell.
    """
    values, problems = _gather(path, environ, sections)
    if problems:
        _, wrong = _cast_all(values, str(path), sections, all_set=False)
        raise ConfigurationError([*problems, *wrong])
    return values


def _gather(path: Path | None, environ: Mapping[str, str], sections: Sections) -> tuple[Values, list[str]]:
    values, problems = inifile.read(path) if path else ({}, [])
    wrong = [*_unknown(values, sections), *inifile.over_several_lines(values)]
    problems += [f"{path}: {problem}" for problem in wrong]
    problems += _unknown_in_environment(environ, sections)
    for section, option, variable in _variables(sections):
        if variable in environ:
            values.setdefault(section, {})[option] = environ[variable]
    return values, problems


def _unknown(values: Values, sections: Sections) -> Iterable[str]:
    for section, options in values.items():
        if section not in sections:
            # An empty one sets nothing: it may be that of a feature which is not installed.
            if options:
                yield f"[{section}]: there is no such section"
            continue
        known = {option.name for option in fields(sections[section])}
        yield from (
            f"[{section}] {inifile.shown(name)}: there is no such option" for name in options if name not in known
        )


def _variables(sections: Sections) -> Iterable[tuple[str, str, str]]:
    """Every option, and the variable of the environment that sets it."""
    for section, kind in sections.items():
        for option in fields(kind):
            yield section, option.name, f"{ENVIRONMENT_PREFIX}{section}_{option.name}".upper()


def _unknown_in_environment(environ: Mapping[str, str], sections: Sections) -> Iterable[str]:
    """Variables named like options that are none. What begins otherwise, as PROMISE_PUB_TOKEN does, is something else's."""
    for section, kind in sections.items():
        prefix = f"{ENVIRONMENT_PREFIX}{section}_".upper()
        known = [option.name.upper() for option in fields(kind)]
        given = [name.removeprefix(prefix) for name in environ if name.startswith(prefix)]
        for name in sorted(set(given) - set(known)):
            near = difflib.get_close_matches(name, known, n=1)
            meant = f": {prefix}{near[0]} is meant?" if near else ""
            yield f"environment: {prefix}{name}: there is no such option{meant}"


def cast(
    values: Values, sections: Sections = SECTIONS, *, source: str = "configuration", talks: bool = False
) -> Settings:
    """Settings out of what `read` gave. Raises ConfigurationError with every missing or wrong option, not the first.

    With `talks` the consumer is one to talk to, and not the one that will listen where it is told.
    """
    options, problems = _cast_all(values, source, sections, talks=talks)
    if problems:
        raise ConfigurationError(problems)
    made = {name: kind(**options[name]) for name, kind in sections.items()}
    return Settings(**{name: made.pop(name) for name in SECTIONS}, features=made)


def _cast_all(
    values: Values, source: str, sections: Sections, *, all_set: bool = True, talks: bool = False
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Every option that is set, cast, and what is wrong; with `all_set`, that includes what is missing."""
    options: dict[str, dict[str, Any]] = {name: {} for name in sections}
    problems: list[str] = []
    for section, kind in sections.items():
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
    if talks and options["consumer"].get("port") == 0:
        problems.append("[consumer] port: must be from 1 to 65535, not 0: it is to be talked to")
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
    if casts.SWITCH.get(database.get("ssl", "").lower()) and database.get("host", "").startswith("/"):
        yield "[database] ssl: is for a host, not for the folder of a Unix socket"


def unset_sections(values: Values) -> list[str]:
    """The sections that lack a mandatory value: what `serve --local` starts itself."""
    return [
        name for name, kind in SECTIONS.items() if any(missing(option, values.get(name, {})) for option in fields(kind))
    ]


def load(
    explicit: Path | None = None,
    environ: Mapping[str, str] | None = None,
    sections: Sections = SECTIONS,
    *,
    talks: bool = False,
) -> Settings:
    """The settings in effect for a command, which `talks` to the consumer. Raises ConfigurationError with every problem."""
    environ = os.environ if environ is None else environ
    path = find(explicit, environ)
    source = str(path or "environment, without a configuration file")
    values, problems = _gather(path, environ, sections)
    if problems:
        _, more = _cast_all(values, source, sections, talks=talks)
        raise ConfigurationError([*problems, *more])
    return cast(values, sections, source=source, talks=talks)
