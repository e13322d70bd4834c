"""Every cast: the values that it takes, and its complaints about others."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.settings_parts import COMPLETE, load, problems


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
