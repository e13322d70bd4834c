"""The list of options, and the settings that a configuration file and the environment make of them.

Each section is a dataclass, each option a field with its cast and its default. File, environment
(`PROMISE_PUB_{SECTION}_{OPTION}`) and complaints follow from that; `production.ini` describes every option.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from promise_pub.addresses import Network
from promise_pub.errors import ConfigurationError
from promise_pub.settings import casts, inifile
from promise_pub.settings.inifile import Values

FILE_NAME = "production.ini"
ENVIRONMENT_PREFIX = "PROMISE_PUB_"
CONFIG_VARIABLE = "PROMISE_PUB_CONFIG"

_PACKAGE = Path(__file__).parent.parent

_S = TypeVar("_S")


def asset(name: str) -> Path:
    """Returns the path of `templates`, `static`, `scheme.sql` or `production.ini`, in the package or the checkout."""
    installed = _PACKAGE / "assets" / name
    return installed if installed.exists() else _PACKAGE.parent / name


_PORT = casts.whole(1, 65535)
_LISTENING_PORT = casts.whole(0, 65535)


def option(cast: Callable[[str], Any], default: Any = MISSING, *, secret: bool = False) -> Any:
    """Declares an option. Without a default it is mandatory. A secret stays out of `repr`."""
    return field(default=default, metadata={"cast": cast}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The web server. Sizes in bytes, timeouts in seconds, `keep_uploads` in days; `min_upload_rate` in bytes a second."""

    host: str = option(casts.host, "127.0.0.1")
    port: int = option(_LISTENING_PORT, 8000)
    uploads: Path = option(casts.folder, Path("uploads"))
    max_upload: int = option(casts.size(), 2 * 1024**3)
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
    max_header: int = option(casts.size(1024, 64 * 1024), 8 * 1024)
    max_headers: int = option(casts.whole(16, 1000), 64)
    max_fields: int = option(casts.whole(1, 1000), 20)
    max_parameters: int = option(casts.whole(1, 1000), 40)
    min_upload_rate: int = option(casts.size(0, 1024**3), 1024)
    max_connections: int = option(casts.whole(1, 100_000), 1000)
    header_timeout: float = option(casts.seconds, 20.0)
    idle_timeout: float = option(casts.seconds, 75.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitSettings:
    """The broker. `window` in unconfirmed messages, `heartbeat` in seconds."""

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
    """The consumer under test; the bundled consumer listens there itself. Timeouts in seconds."""

    host: str = option(casts.host)
    port: int = option(_LISTENING_PORT)
    token: str = option(casts.token, "", secret=True)
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
    """PostgreSQL. `host` is a name, or the folder of a Unix socket."""

    host: str = option(casts.host_or_folder, "localhost")
    port: int = option(_PORT, 5432)
    dbname: str = option(casts.text)
    user: str = option(casts.text)
    password: str = option(str, secret=True)
    ssl: bool = option(casts.flag, False)
    ca_certificate: Path | None = option(casts.authorities, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration, section by section."""

    server: ServerSettings
    rabbit: RabbitSettings
    consumer: ConsumerSettings
    database: DatabaseSettings
    features: Mapping[str, Any] = field(default_factory=dict)
    """The settings of features, by the names of their sections."""

    def of(self, section: str, kind: type[_S]) -> _S:
        """Returns the settings of a feature's section: those that were read, else its defaults."""
        return self.features.get(section) or kind()

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
"""The sections without those of features, which callers add."""


class Option(NamedTuple):
    """One option of the configuration."""

    section: str
    name: str
    cast: Callable[[str], Any]
    mandatory: bool
    secret: bool

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"{ENVIRONMENT_PREFIX}{self.section}_{self.name}".upper()

    def given(self, values: Values) -> str | None:
        """Returns the text to cast, or None when the option is not set. An empty value is not set.

        A mandatory secret may be empty. Secrets keep the spaces that the environment gives them.
        """
        text = values.get(self.section, {}).get(self.name)
        if text is None or not text.strip() and not (self.mandatory and self.secret):
            return None
        return text if self.secret else text.strip()


def list_options(sections: Sections) -> list[Option]:
    return [
        Option(section, each.name, each.metadata["cast"], each.default is MISSING, not each.repr)
        for section, kind in sections.items()
        for each in fields(kind)
    ]


def load(
    explicit: Path | None = None,
    environ: Mapping[str, str] | None = None,
    sections: Sections = SECTIONS,
    *,
    connects: bool = False,
) -> Settings:
    """Returns the settings in effect for a command. Raises ConfigurationError with every problem.

    With `connects` the command connects to the consumer, so that its port cannot be 0.
    """
    environ = os.environ if environ is None else environ
    path = find_file(explicit, environ)
    source = str(path or "environment (no configuration file)")
    values, problems = _read_all(path, environ, sections)
    options, wrong = _cast_all(values, source, sections, connects=connects)
    if path is None and unset_sections(values):
        wrong.append(
            f"No configuration file was found. Copy {asset(FILE_NAME)} and fill it in, or try `promise-pub serve --local`."
        )
    return _settings(options, sections, [*problems, *wrong])


def find_file(explicit: Path | None, environ: Mapping[str, str], *, search: bool = True) -> Path | None:
    """Returns the configuration file: that of `-c`, of `$PROMISE_PUB_CONFIG`, or, with `search`, of the usual folders.

    Returns None when there is none. Raises ConfigurationError when one is named and does not exist.
    """
    named = explicit or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named:
        if not named.is_file():
            raise ConfigurationError([f"{named}: there is no such configuration file"])
        return named
    return next((path for path in _usual_files(environ) if path.is_file()), None) if search else None


def _usual_files(environ: Mapping[str, str]) -> Iterable[Path]:
    yield Path(FILE_NAME)
    # Not Path.expanduser, which raises where a user has no home.
    home = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    for folder in [home, *(environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]:
        if folder:
            yield Path(folder) / "promise-pub" / FILE_NAME


def read(path: Path | None, environ: Mapping[str, str], sections: Sections = SECTIONS) -> Values:
    """Returns the options set in the file and the environment, which wins.

    Raises ConfigurationError with every unknown and every wrong option. Missing ones are left to `cast`.
    """
    values, problems = _read_all(path, environ, sections)
    if problems:
        _, wrong = _cast_all(values, str(path), sections, complete=False)
        raise ConfigurationError([*problems, *wrong])
    return values


def cast(values: Values, sections: Sections = SECTIONS, *, connects: bool = False) -> Settings:
    """Returns the settings that `read` values make. Raises ConfigurationError with every missing or wrong option."""
    options, problems = _cast_all(values, "configuration", sections, connects=connects)
    return _settings(options, sections, problems)


def list_secrets(path: Path, sections: Sections = SECTIONS) -> list[str]:
    """Returns the secrets that a file sets, as [section] option."""
    values, _ = inifile.read(path)
    secrets = [each for each in list_options(sections) if each.secret]
    return [f"[{each.section}] {each.name}" for each in secrets if values.get(each.section, {}).get(each.name)]


def unset_sections(values: Values) -> list[str]:
    """Returns the sections that lack a mandatory value, whose services `serve --local` starts itself."""
    unset = (each.section for each in list_options(SECTIONS) if each.mandatory and each.given(values) is None)
    return list(dict.fromkeys(unset))


def _read_all(path: Path | None, environ: Mapping[str, str], sections: Sections) -> tuple[Values, list[str]]:
    values, problems = inifile.read(path) if path else ({}, [])
    wrong = [*_unknown_options(values, sections), *inifile.remove_continued(values)]
    problems += [f"{path}: {problem}" for problem in wrong]
    problems += _unknown_variables(environ, sections)
    for each in list_options(sections):
        if each.variable in environ:
            values.setdefault(each.section, {})[each.name] = environ[each.variable]
    return values, problems


def _unknown_options(values: Values, sections: Sections) -> Iterable[str]:
    for section, options in values.items():
        if section in sections:
            known = {each.name for each in fields(sections[section])}
            yield from (f"[{section}] {inifile.shown(name)}: unknown option" for name in options if name not in known)
        elif options:  # an empty section sets nothing: it may be that of a feature which is not installed
            yield f"[{section}]: unknown section"


def _unknown_variables(environ: Mapping[str, str], sections: Sections) -> Iterable[str]:
    """Yields a complaint about each variable that is named like an option of a section, and sets none."""
    for section, kind in sections.items():
        prefix = f"{ENVIRONMENT_PREFIX}{section}_".upper()
        known = [each.name.upper() for each in fields(kind)]
        given = {name.removeprefix(prefix) for name in environ if name.startswith(prefix)}
        for name in sorted(given - set(known)):
            near = difflib.get_close_matches(name, known, n=1)
            yield f"environment: {prefix}{name}: unknown option{f'. Did you mean {prefix}{near[0]}?' if near else ''}"


def _cast_all(
    values: Values, source: str, sections: Sections, *, complete: bool = True, connects: bool = False
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Returns the options that are set, cast, and every problem; unless `complete`, missing options are none."""
    options: dict[str, dict[str, Any]] = {section: {} for section in sections}
    problems: list[str] = []
    for each in list_options(sections):
        text = each.given(values)
        try:
            if text is not None:
                options[each.section][each.name] = each.cast(text)
            elif each.mandatory and complete:
                raise ValueError("is required but not set")
        except ValueError as error:
            problems.append(f"[{each.section}] {each.name}: {error}")
    problems.extend(_contradictions(values))
    if connects and options["consumer"].get("port") == 0:
        problems.append("[consumer] port: must be from 1 to 65535, not 0: the server has to connect to it")
    return options, [f"{source}: {problem}" for problem in problems]


def _contradictions(values: Values) -> Iterable[str]:
    server = values.get("server", {})
    if bool(server.get("ssl_certificate", "").strip()) != bool(server.get("ssl_key", "").strip()):
        yield "[server] ssl_certificate and ssl_key: must be set together or not at all"
    database = values.get("database", {})
    if casts.SWITCH.get(database.get("ssl", "").lower()) and database.get("host", "").startswith("/"):
        yield "[database] ssl: is for a host name, not for the folder of a Unix socket"


def _settings(options: dict[str, dict[str, Any]], sections: Sections, problems: list[str]) -> Settings:
    if problems:
        raise ConfigurationError(problems)
    made = {name: kind(**options[name]) for name, kind in sections.items()}
    return Settings(**{name: made.pop(name) for name in SECTIONS}, features=made)
