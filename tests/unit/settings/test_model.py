"""Configuration: every cast and every complaint, all complaints at once, and no secret in any of them."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from promise_pub.app import FEATURES, sections_of
from promise_pub.errors import ConfigurationError
from promise_pub.settings import inifile, model
from promise_pub.settings.inifile import Values
from promise_pub.settings.model import RabbitSettings, Settings

COMPLETE = """
[rabbit]
host = broker.example
password = {password}
[consumer]
host = consumer.example
port = 9000
[database]
dbname = work
user = me
password = {password}
"""
SECRET = "s3cr%t=#;hunter2"


def write(folder: Path, text: str | bytes, name: str = "test.ini") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def load(folder: Path, text: str | bytes, **environ: str) -> Settings:
    return model.load(write(folder, text), environ)


def problems(folder: Path, text: str | bytes, **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text, **environ)
    source = f"{folder / 'test.ini'}: "
    assert all(problem.startswith(source) for problem in caught.value.problems)
    return [problem.removeprefix(source) for problem in caught.value.problems]


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


@pytest.mark.parametrize(
    ("section", "option", "value", "expected"),
    [
        ("server", "port", "0", 0),
        ("server", "port", " 65535 ", 65535),
        ("server", "max_upload", "500", 500),
        ("server", "max_upload", "500K", 500 * 1024),
        ("server", "max_upload", "20m", 20 * 1024**2),
        ("server", "max_upload", "3 G", 3 * 1024**3),
        ("server", "keep_uploads", "0", 0),
        ("server", "uploads", "/some/where", Path("/some/where")),
        ("server", "uploads", "~/up", Path.home() / "up"),
        ("server", "auth", "users", "users"),
        ("server", "login_hours", "1", 1),
        ("server", "hosts", "A.example , [::1]", ("a.example", "[::1]")),
        ("server", "trusted_proxies", "127.0.0.1", (ip_network("127.0.0.1/32"),)),
        (
            "server",
            "trusted_proxies",
            "10.0.0.0/8 ,::1,fd00::/8",
            (ip_network("10.0.0.0/8"), ip_network("::1/128"), ip_network("fd00::/8")),
        ),
        ("server", "trusted_proxies", "10.1.0.0/255.255.0.0", (ip_network("10.1.0.0/16"),)),
        ("server", "trusted_proxies", "::ffff:10.0.0.0/104", (ip_network("10.0.0.0/8"),)),
        ("server", "trusted_proxies", " ", ()),
        ("server", "log_format", "json", "json"),
        ("server", "log_level", "warning", "warning"),
        ("server", "max_header", "64K", 65536),
        ("server", "max_header", "1024", 1024),
        ("server", "min_upload_rate", "0", 0),
        ("server", "min_upload_rate", "20K", 20480),
        ("server", "max_connections", "1", 1),
        ("server", "idle_timeout", "0.5", 0.5),
        ("rabbit", "ssl", "yes", True),
        ("rabbit", "ssl", "Off", False),
        ("rabbit", "ssl", "TRUE", True),
        ("rabbit", "window", "1", 1),
        ("rabbit", "vhost", "a/b", "a/b"),
        ("rabbit", "vhost", "", "/"),
        ("consumer", "answer_timeout", "0.25", 0.25),
        ("consumer", "healthcheck_url", "/health/", "/health/"),
        ("database", "host", "/run/postgresql", "/run/postgresql"),
        ("database", "host", "/a folder/run", "/a folder/run"),
        ("database", "host", "db_1.example.", "db_1.example."),
        ("server", "host", "::1", "::1"),
        ("server", "host", "[::1]", "::1"),
        ("rabbit", "host", "fe80::1%lo", "fe80::1%lo"),
        ("consumer", "host", "bücher.example", "bücher.example"),
        ("database", "port", "", 5432),
    ],
)
def test_a_value_is_cast(tmp_path: Path, section: str, option: str, value: str, expected: object) -> None:
    variable = f"PROMISE_PUB_{section}_{option}".upper()
    settings = load(tmp_path, COMPLETE.format(password="x"), **{variable: value})
    assert getattr(getattr(settings, section), option) == expected


@pytest.mark.parametrize(
    ("section", "option", "value", "complaint"),
    [
        ("server", "port", "eighty", "must be a whole number, not 'eighty'"),
        ("server", "port", "-1", "must be from 0 to 65535, not -1"),
        ("server", "port", "65536", "must be from 0 to 65535"),
        ("server", "port", "80.5", "must be a whole number"),
        ("server", "port", "8_000", "must be a whole number, not '8_000'"),
        ("server", "port", "+80", "must be a whole number"),
        ("server", "port", "٨٠٠٠", "must be a whole number"),
        ("server", "port", "8" * 5000, "must be a whole number"),
        ("rabbit", "port", "0", "must be from 1 to 65535"),
        ("rabbit", "host", "a b", "must be a host name or an address"),
        ("rabbit", "host", "amqp://a", "must be a host name or an address"),
        ("rabbit", "host", "a.example:5672", "must be a host name or an address, without scheme"),
        ("rabbit", "host", "[a.example]", "must be a host name or an address"),
        ("consumer", "host", "a/b", "must be a host name or an address"),
        ("consumer", "host", "me@a", "must be a host name or an address"),
        ("server", "host", "1:2", "must be a host name or an address"),
        ("database", "host", "run/postgresql", "must be a host name or an address"),
        ("database", "host", "a,b", "must be a host name or an address"),
        ("server", "max_upload", "0", "must be a number of bytes"),
        ("server", "max_upload", "K", "must be a number of bytes"),
        ("server", "max_upload", "-5M", "must be a number of bytes"),
        ("server", "max_upload", "5T", "must be a number of bytes"),
        ("server", "max_upload", "1.5G", "must be a number of bytes"),
        ("server", "max_upload", "٣K", "must be a number of bytes"),
        ("server", "max_upload", "²", "must be a number of bytes"),
        ("server", "max_upload", "1" * 5000, "must be a number of bytes"),
        ("server", "max_waiting", "100001", "must be from 0 to 100000"),
        ("server", "uploads", "~nobody-of-this-name/x", "is in the home folder of an unknown user"),
        ("server", "ssl_key", "~nobody-of-this-name/x", "is in the home folder of an unknown user"),
        ("server", "ssl_key", "/there/is/none", "is not a file"),
        ("rabbit", "ca_certificate", "/there/is/none", "is not a file"),
        ("rabbit", "ca_certificate", __file__, "is not a readable file of PEM certificates"),
        ("database", "ca_certificate", __file__, "is not a readable file of PEM certificates"),
        ("server", "auth", "yes", "must be off or users, not 'yes'"),
        ("server", "login_hours", "0", "must be from 1 to 8760"),
        ("server", "log_format", "xml", "must be text or json, not 'xml'"),
        ("server", "log_level", "INFO", "must be debug or info or warning or error, not 'INFO'"),
        ("server", "max_header", "0", "must be from 1024 to 65536 bytes, not 0"),
        ("server", "max_header", "65K", "must be from 1024 to 65536 bytes, not 65K"),
        ("server", "max_header", "big", "must be a number of bytes"),
        ("server", "max_headers", "15", "must be from 16 to 1000"),
        ("server", "max_fields", "0", "must be from 1 to 1000"),
        ("server", "max_parameters", "1001", "must be from 1 to 1000"),
        ("server", "min_upload_rate", "-1", "must be a number of bytes"),
        ("server", "min_upload_rate", "2G", "must be from 0 to 1073741824 bytes, not 2G"),
        ("server", "max_connections", "0", "must be from 1 to 100000"),
        ("server", "header_timeout", "0", "must be over 0 and at most 86400 seconds"),
        ("server", "hosts", "a.example:80", "must be names such as a.example, b.example"),
        ("server", "hosts", "a.example,,b", "must be names such as a.example, b.example"),
        ("server", "hosts", "https://a.example", "must be names such as a.example"),
        (
            "server",
            "trusted_proxies",
            "10.0.0.5/8",
            "10.0.0.5/8 is an address inside a network. Did you mean 10.0.0.0/8 or 10.0.0.5?",
        ),
        (
            "server",
            "trusted_proxies",
            "127.0.0.1, fd00::1/8",
            "fd00::1/8 is an address inside a network. Did you mean fd00::/8 or fd00::1?",
        ),
        *(
            (
                "server",
                "trusted_proxies",
                value,
                (
                    "must be addresses and networks such as 127.0.0.1, 10.0.0.0/8, ::1, "
                    f"without host names, ports and zones, not {wrong!r}"
                ),
            )
            for value, wrong in (
                ("127.0.0.1, proxy.example", "proxy.example"),
                ("localhost", "localhost"),
                ("127.0.0.1:80", "127.0.0.1:80"),
                ("[::1]", "[::1]"),
                ("fe80::1%eth0", "fe80::1%eth0"),
                ("10.0.0.0/33", "10.0.0.0/33"),
                ("10.0.0.0/", "10.0.0.0/"),
                ("10.1", "10.1"),
                ("2130706433", "2130706433"),
                ("127.0.0.1,,::1", ""),
                ("127.0.0.1,", ""),
                ("127.0.0.1 ::1", "127.0.0.1 ::1"),
            )
        ),
        ("rabbit", "ssl", "maybe", "must be yes or no, not 'maybe'"),
        ("rabbit", "window", "0", "must be from 1 to 1000000"),
        ("rabbit", "heartbeat", "3601", "must be from 1 to 3600"),
        ("consumer", "create_url", "create/", "must be a path such as /create/"),
        ("consumer", "create_url", "/create/?a=b", "must be a path such as /create/"),
        ("consumer", "connect_timeout", "0", "must be over 0"),
        ("consumer", "connect_timeout", "nan", "must be over 0"),
        ("consumer", "connect_timeout", "inf", "must be over 0"),
        ("consumer", "stall_timeout", "soon", "must be a number of seconds"),
        ("consumer", "stall_timeout", "1_0", "must be a number of seconds"),
        ("consumer", "stall_timeout", "٣", "must be a number of seconds"),
        ("rabbit", "host", "  ", "is required but not set"),
        ("database", "dbname", "", "is required but not set"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    tmp_path: Path, section: str, option: str, value: str, complaint: str
) -> None:
    variable = f"PROMISE_PUB_{section}_{option}".upper()
    told = problems(tmp_path, COMPLETE.format(password="x"), **{variable: value})
    assert f"[{section}] {option}: {complaint}" in told[0]


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
    assert len(caught.value.problems) == 3 and "mandatory" not in str(caught.value)


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


def test_the_environment_wins_over_the_file_and_brings_sections_it_lacks(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        COMPLETE.format(password="x"),
        PROMISE_PUB_RABBIT_HOST="other.example",
        PROMISE_PUB_SERVER_PORT="0",
    )
    assert (settings.rabbit.host, settings.server.port) == ("other.example", 0)


@pytest.mark.parametrize("mark", ["=", ":", " = ", "  =  "])
def test_an_empty_password_is_a_password_and_percent_signs_are_plain(tmp_path: Path, mark: str) -> None:
    text = COMPLETE.replace(" = ", mark)
    assert load(tmp_path, text.format(password="")).database.password == ""
    assert load(tmp_path, text.format(password="%(host)s%%")).database.password == "%(host)s%%"


def test_a_password_from_the_environment_keeps_its_spaces(tmp_path: Path) -> None:
    settings = load(tmp_path, COMPLETE.format(password="x"), PROMISE_PUB_DATABASE_PASSWORD=" two words ")
    assert settings.database.password == " two words "


def test_no_secret_is_in_any_repr(tmp_path: Path) -> None:
    settings = load(tmp_path, COMPLETE.format(password=SECRET))
    assert settings.rabbit.password == settings.database.password == SECRET
    for value in (settings, settings.rabbit, settings.database):
        assert SECRET not in f"{value!r} {value!s} {value}"
        assert "password" not in repr(value)


BROKEN_WITH_SECRET = {
    "no equals sign": f"[rabbit]\nhost = x\npassword {SECRET.replace('=', '')}\n",
    "the equals sign in the password": f"[rabbit]\npassword {SECRET}\n",
    "before any section": f"password = {SECRET}\n",
    "indented under a number": f"[rabbit]\nport = 5672\n  password = {SECRET}\n",
    "indented under a path": f"[rabbit]\nca_certificate = /x\n  password = {SECRET}\n",
    "indented under an unknown option": f"[rabbit]\nprot = 5672\n  password = {SECRET}\n",
    "set twice": f"[rabbit]\npassword = {SECRET}\npassword = {SECRET}\n",
    "twice without an equals sign before it": f"[rabbit]\na {SECRET}\na {SECRET}\n",
    "under an unknown section": f"[rabit]\npassword = {SECRET}\n",
    "as an unknown option": f"[rabbit]\npasword = {SECRET}\n",
    "not UTF-8": f"[rabbit]\npassword = {SECRET}\xe9\n".encode("latin-1"),
    "in an unclosed section": f"[rabbit\npassword = {SECRET}\n",
}


@pytest.mark.parametrize("text", BROKEN_WITH_SECRET.values(), ids=BROKEN_WITH_SECRET)
def test_no_complaint_about_a_broken_file_tells_a_secret(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    told = f"{caught.value!r} {caught.value} {caught.value.problems}"
    assert not [piece for piece in ("s3cr", "hunter2") if piece in told]
    assert "\xe9" not in told and "0xe9" not in told
    assert caught.value.__cause__ is None  # nor does a traceback


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[rabbit]\nhost = x\nnonsense\nmore nonsense\n", "line 3: is neither"),
        ("host = x\n", "line 1: comes before the first [section]"),
        ("\x00\x01\x02\x03", "line 1: comes before the first [section]"),
        ("[rabbit]\nhost = a\nHOST = b\n", "[rabbit] host: is set twice"),
        ("[rabbit]\nhost = a\n[rabbit]\n", "[rabbit]: appears twice"),
        ("[DEFAULT]\nhost = a\n", "[DEFAULT]: unknown section"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not UTF-8 text: byte 1"),
        (b"PK\x03\x04\x14\x00\xff\xfe", "is not UTF-8 text: byte 7"),
        ("[rabbit]\n = x\n", "line 2: is neither"),
        ("", "[rabbit] host: is required but not set"),
    ],
)
def test_a_broken_file_is_a_complaint_with_its_line(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    assert problems(tmp_path, text)[0].startswith(complaint)


def test_every_broken_line_is_listed(tmp_path: Path) -> None:
    text = COMPLETE.format(password="x").replace("port = 9000", "nonsense\nport = 9000\nmore")
    told = problems(tmp_path, text)
    assert [problem.split(":")[0] for problem in told] == ["line 7", "line 9"]


def test_what_is_there_twice_hides_no_other_problem(tmp_path: Path) -> None:
    text = """
before = any
section = x
[rabbit]
host = a
nonsense
host = b
HOST = c
  host = d
window = 0
[consumer]
host = c
[rabbit]
heartbeat = 0
hsot = x
host = e
[consumer]
port = 9000
[database]
dbname = x
user = y
password = z
"""
    assert problems(tmp_path, text) == [
        "line 2: comes before the first [section]",
        "line 6: is neither a [section] nor an option = value",
        "[rabbit] host: is set twice",
        "[rabbit] host: is set twice",
        "[rabbit]: appears twice",
        "[consumer]: appears twice",
        "[rabbit] hsot: unknown option",
        "[rabbit] window: must be from 1 to 1000000, not 0",
        "[rabbit] heartbeat: must be from 1 to 3600, not 0",
    ]


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


def test_a_byte_order_mark_and_windows_line_ends_are_taken(tmp_path: Path) -> None:
    text = COMPLETE.format(password="x").strip().replace("\n", "\r\n").encode()
    assert load(tmp_path, b"\xef\xbb\xbf" + text).rabbit.host == "broker.example"


def test_a_file_that_cannot_be_read_is_a_complaint(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read: Is a directory"):
        model.read(tmp_path, {})
    with pytest.raises(ConfigurationError, match="there is no such configuration file"):
        model.load(tmp_path / "none.ini", {})


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


def test_settings_that_are_written_as_a_file_are_read_as_they_were(tmp_path: Path) -> None:
    """Every kind of value: the parts that `serve --local` starts are told so."""
    text = (
        COMPLETE.format(password="x")
        + """[server]
uploads = /some where/else
max_upload = 3G
hosts = a.example, [::1]
trusted_proxies = 127.0.0.1, 10.0.0.0/8, ::1, fd00::/8
idle_timeout = 0.5
"""
    )
    for settings in (load(tmp_path, text), load(tmp_path, text, PROMISE_PUB_RABBIT_SSL="yes")):
        inifile.write(tmp_path / "written.ini", settings)
        assert model.load(tmp_path / "written.ini", {}) == settings


def test_settings_cannot_be_changed() -> None:
    settings: Any = RabbitSettings(host="x")
    with pytest.raises(AttributeError):
        settings.host = "y"
