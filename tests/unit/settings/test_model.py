"""Settings from a file and the environment: defaults, precedence, and all problems at once."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import pytest

from promise_pub.app import FEATURES, sections_of
from promise_pub.errors import ConfigurationError
from promise_pub.settings import model
from promise_pub.settings.inifile import Values
from promise_pub.settings.model import RabbitSettings
from tests.settings_parts import COMPLETE, SECRET, load, problems, write


def test_the_defaults_are_those_documented(tmp_path: Path) -> None:
    settings = load(tmp_path, COMPLETE.format(password="x"))
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8000)
    assert (settings.server.uploads, settings.server.max_upload) == (Path("uploads"), 2 << 30)
    assert (settings.server.keep_uploads, settings.server.max_waiting) == (30, 100)
    assert (settings.server.ssl_certificate, settings.server.ssl_key) == (None, None)
    server = settings.server
    assert (server.auth, server.login_hours, server.hosts) == ("off", 12, ())
    assert server.trusted_proxies == ()
    assert (server.log_format, server.log_level) == ("text", "info")
    assert (server.max_header, server.max_headers) == (8192, 64)
    assert (server.max_fields, server.max_parameters) == (20, 40)
    assert (server.min_upload_rate, server.max_connections) == (1024, 1000)
    assert (server.header_timeout, server.idle_timeout) == (20, 75)
    rabbit = settings.rabbit
    assert (rabbit.port, rabbit.user, rabbit.vhost, rabbit.ssl) == (5672, "guest", "/", False)
    assert rabbit.heartbeat == 15
    consumer = settings.consumer
    assert (consumer.connect_timeout, consumer.answer_timeout, consumer.stall_timeout) == (
        5,
        10,
        60,
    )
    assert consumer.getsession_url == "/getSession/"
    assert (settings.database.host, settings.database.port) == ("localhost", 5432)


def test_the_guest_password_is_the_default(tmp_path: Path) -> None:
    text = COMPLETE.format(password="x").replace("password = x\n[consumer]", "[consumer]")
    assert load(tmp_path, text).rabbit.password == "guest"


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    text = """
[server]
port = eighty
prot = 80
ssl_key = /there/is/none
[rabit]
host = x
[consumer]
host =
port = 9000
[database]
dbname = x
user = y
  port = 5433
"""
    told = problems(tmp_path, text)
    assert told == [
        "[server] prot: unknown option",
        "[rabit]: unknown section",
        "[database] user: the next line is indented, which makes it part of this value",
        "[server] port: must be a whole number, not 'eighty'",
        "[server] ssl_key: is not a file: '/there/is/none'",
        "[rabbit] host: is required but not set",
        "[consumer] host: is required but not set",
        "[database] user: is required but not set",
        "[database] password: is required but not set",
        "[server] ssl_certificate and ssl_key: must be set together or not at all",
    ]


def test_reading_for_a_local_stack_lists_every_problem_but_what_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path, "[server]\nport = x\nprot = 1\n[rabbit]\nwindow = 0\n")
    with pytest.raises(ConfigurationError) as caught:
        model.read(path, {})
    assert len(caught.value.problems) == 3 and "required" not in str(caught.value)


def test_without_a_file_the_environment_is_enough_and_is_named_when_it_is_not() -> None:
    environ = {
        "PROMISE_PUB_RABBIT_HOST": "b",
        "PROMISE_PUB_CONSUMER_HOST": "c",
        "PROMISE_PUB_CONSUMER_PORT": "1",
        "PROMISE_PUB_DATABASE_DBNAME": "d",
        "PROMISE_PUB_DATABASE_USER": "u",
    }
    settings = model.cast(model.read(None, {**environ, "PROMISE_PUB_DATABASE_PASSWORD": ""}))
    assert (settings.rabbit.host, settings.database.password) == ("b", "")
    with pytest.raises(ConfigurationError, match=r"\[database\] password: is required"):
        model.cast(model.read(None, environ))


def test_without_any_configuration_it_is_said_where_the_template_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)}
    with pytest.raises(ConfigurationError) as caught:
        model.load(None, elsewhere)
    *missing, hint = caught.value.problems
    assert missing[0] == "environment (no configuration file): [rabbit] host: is required but not set"
    assert len(missing) == 6
    assert str(model.asset("production.ini")) in hint and "promise-pub serve --local" in hint


def test_the_environment_wins_over_the_file_and_brings_sections_it_lacks(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        COMPLETE.format(password="x"),
        PROMISE_PUB_RABBIT_HOST="other.example",
        PROMISE_PUB_SERVER_PORT="0",
    )
    assert (settings.rabbit.host, settings.server.port) == ("other.example", 0)


def test_a_password_from_the_environment_keeps_its_spaces(tmp_path: Path) -> None:
    settings = load(tmp_path, COMPLETE.format(password="x"), PROMISE_PUB_DATABASE_PASSWORD=" two words ")
    assert settings.database.password == " two words "


def test_no_secret_is_in_any_repr(tmp_path: Path) -> None:
    settings = load(tmp_path, COMPLETE.format(password=SECRET))
    assert settings.rabbit.password == settings.database.password == SECRET
    for value in (settings, settings.rabbit, settings.database):
        assert SECRET not in f"{value!r} {value!s} {value}"
        assert "password" not in repr(value)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("PROMISE_PUB_SERVER_PROT", ". Did you mean PROMISE_PUB_SERVER_PORT?"),
        ("PROMISE_PUB_DATABASE_DBNAM", ". Did you mean PROMISE_PUB_DATABASE_DBNAME?"),
        ("PROMISE_PUB_RABBIT_", ""),
        ("PROMISE_PUB_SERVER_WHATEVER_MAY_BE_MEANT_BY_THIS_ONE", ""),
    ],
)
@pytest.mark.parametrize("within", [model.load, model.read])
def test_a_misspelt_variable_is_told_with_the_one_that_is_near(
    tmp_path: Path, within: Callable[[Path, dict[str, str]], Any], variable: str, meant: str
) -> None:
    path = write(tmp_path, COMPLETE.format(password="x"))
    with pytest.raises(ConfigurationError) as caught:
        within(path, {variable: SECRET})
    assert caught.value.problems == (f"environment: {variable}: unknown option{meant}",)


def test_variables_that_are_no_options_are_left_alone(tmp_path: Path) -> None:
    others = ("TOKEN", "LOCAL_PLACES", "CHROMIUM", "TEST_MARK", "SERVER", "SERVERS_PORT", "X")
    environ = {f"PROMISE_PUB_{name}": "anything" for name in others}
    environ["PROMISE_PUB_CONFIG"] = str(write(tmp_path, COMPLETE.format(password="x")))
    assert model.load(None, environ).rabbit.host == "broker.example"


def test_the_consumer_itself_may_listen_on_any_port_but_is_talked_to_on_one(tmp_path: Path) -> None:
    text = COMPLETE.format(password="x").replace("9000", "0") + "[server]\nport = x\n"
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        model.load(path, {}, connects=True)
    assert [problem.partition("[")[2] for problem in caught.value.problems] == [
        "server] port: must be a whole number, not 'x'",
        "consumer] port: must be from 1 to 65535, not 0: the server has to connect to it",
    ]
    assert model.load(path, {"PROMISE_PUB_SERVER_PORT": "1"}).consumer.port == 0


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    pem = write(tmp_path, "x", "some.pem")
    complete = COMPLETE.format(password="x")
    told = problems(tmp_path, complete + f"[server]\nssl_certificate = {pem}\n")
    assert told == ["[server] ssl_certificate and ssl_key: must be set together or not at all"]
    both = load(tmp_path, complete + f"[server]\nssl_certificate = {pem}\nssl_key = {pem}\n")
    assert both.server.ssl_key == pem
    neither = complete + "[server]\nssl_certificate =\nssl_key =\n"
    assert load(tmp_path, neither, PROMISE_PUB_SERVER_SSL_KEY=" ").server.ssl_key is None


class TestSearch:
    @pytest.fixture
    def places(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
        """A configuration file at every place that is searched."""
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        places = {"-c": tmp_path / "c.ini", "variable": tmp_path / "v.ini"}
        places["here"] = tmp_path / "here" / "production.ini"
        for name in ("home", "one", "two"):
            places[name] = tmp_path / name / "promise-pub" / "production.ini"
        for path in places.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        return places

    @staticmethod
    def environ(places: dict[str, Path]) -> dict[str, str]:
        one, two = places["one"].parents[1], places["two"].parents[1]
        return {
            "PROMISE_PUB_CONFIG": str(places["variable"]),
            "XDG_CONFIG_HOME": str(places["home"].parents[1]),
            "XDG_CONFIG_DIRS": f"{one}{os.pathsep}{os.pathsep}{two}",
        }

    def test_the_places_are_searched_in_their_order(self, places: dict[str, Path]) -> None:
        environ = self.environ(places)
        assert model.find_file(places["-c"], environ) == places["-c"]
        assert model.find_file(None, environ) == places["variable"]
        del environ["PROMISE_PUB_CONFIG"]
        for name in ("here", "home", "one", "two"):
            found = model.find_file(None, environ)
            assert found and found.resolve() == places[name]
            places[name].unlink()
        assert model.find_file(None, environ) is None

    def test_a_named_file_that_is_not_there_is_an_error_and_nothing_else_is_searched(
        self, places: dict[str, Path]
    ) -> None:
        places["-c"].unlink()
        places["variable"].unlink()
        for explicit in (places["-c"], None):
            with pytest.raises(ConfigurationError, match="no such configuration file"):
                model.find_file(explicit, self.environ(places))

    def test_without_search_only_what_is_named_counts(self, places: dict[str, Path]) -> None:
        environ = self.environ(places)
        assert model.find_file(None, environ, search=False) == places["variable"]
        del environ["PROMISE_PUB_CONFIG"]
        assert model.find_file(None, environ, search=False) is None

    def test_an_empty_variable_is_not_set(self, places: dict[str, Path]) -> None:
        found = model.find_file(None, {**self.environ(places), "PROMISE_PUB_CONFIG": ""})
        assert found and found.resolve() == places["here"]


@pytest.mark.parametrize(
    ("values", "unset"),
    [
        ({}, ["rabbit", "consumer", "database"]),
        ({"rabbit": {"host": "x"}}, ["consumer", "database"]),
        ({"rabbit": {"host": " "}}, ["rabbit", "consumer", "database"]),
        ({"rabbit": {"host": "x"}, "consumer": {"host": "x"}}, ["consumer", "database"]),
        ({"database": {"dbname": "x", "user": "y"}}, ["rabbit", "consumer", "database"]),
        ({"database": {"dbname": "x", "user": "y", "password": ""}}, ["rabbit", "consumer"]),
        ({"server": {"port": "1"}}, ["rabbit", "consumer", "database"]),
    ],
)
def test_a_section_is_unset_that_lacks_a_mandatory_value(values: Values, unset: list[str]) -> None:
    assert model.unset_sections(values) == unset


def test_the_shipped_file_documents_every_option_with_its_default(tmp_path: Path) -> None:
    """Its options behind a semicolon are the defaults; those without one are mandatory, and empty."""
    shipped = model.asset("production.ini").read_text(encoding="utf-8")
    commented, plain = configparser.ConfigParser(interpolation=None), configparser.ConfigParser()
    plain.read_string(shipped)
    commented.read_string(_uncommented(shipped))
    sections = sections_of(FEATURES)
    assert [name for name in commented.sections() if name in sections] == list(sections)
    for section, kind in sections.items():
        assert list(commented[section]) == [option.name for option in fields(kind)]
        mandatory = [option.name for option in fields(kind) if option.default is MISSING]
        assert dict(plain[section]) == dict.fromkeys(mandatory, "")
    filled = {name: {**commented[name]} for name in sections}
    for section, option in (("rabbit", "host"), ("consumer", "host"), ("database", "dbname")):
        filled[section][option] = "x"
    filled["consumer"]["port"], filled["database"]["user"] = "1", "x"
    from_file, bare = model.cast(filled, sections), model.cast(_mandatory_of(filled), sections)
    assert asdict(from_file) == asdict(bare)


def _uncommented(text: str) -> str:
    lines = []
    for line in text.splitlines():
        name, _, _ = line.removeprefix(";").partition("=")
        is_option = name.strip().replace("_", "").isalnum() and "=" in line
        lines.append(line.removeprefix(";") if is_option else line)
    return "\n".join(lines)


def _mandatory_of(values: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    def is_mandatory(section: str, name: str) -> bool:
        return any(f.name == name and f.default is MISSING for f in fields(sections_of(FEATURES)[section]))

    return {
        section: {name: value for name, value in options.items() if is_mandatory(section, name)}
        for section, options in values.items()
    }


def test_an_asset_is_found_in_the_checkout_and_in_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model.asset("scheme.sql").is_file()
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "scheme.sql").write_text("")
    monkeypatch.setattr(model, "_PACKAGE", tmp_path)
    assert model.asset("scheme.sql") == tmp_path / "assets" / "scheme.sql"


def test_tls_is_not_for_a_unix_socket(tmp_path: Path) -> None:
    complete = COMPLETE.format(password="x")
    environ = {"PROMISE_PUB_DATABASE_SSL": "Yes", "PROMISE_PUB_DATABASE_HOST": "/run/postgresql"}
    told = problems(tmp_path, complete, **environ)
    assert told == ["[database] ssl: is for a host name, not for the folder of a Unix socket"]
    del environ["PROMISE_PUB_DATABASE_HOST"]
    assert load(tmp_path, complete, **environ).database.ssl


def test_settings_cannot_be_changed() -> None:
    settings: Any = RabbitSettings(host="x")
    with pytest.raises(AttributeError):
        settings.host = "y"
