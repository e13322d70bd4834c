from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.sources.secrets import MASK, hide_in, hide_secrets

# Each is put together here, so that no search for secrets takes this file for one that holds some.
GITHUB = "ghp_" + "aB3" * 12
FINE = "github_pat_" + "aB3_" * 12
SLACK = "xoxb-" + "1234567890-abc"
STRIPE = "sk_live_" + "aB3" * 8
AWS = "AKIA" + "ABCD1234" * 2
JWT = "eyJ" + "hbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxIn0" + "." + "s1g-na_ture"
KEY = "MIIEpAIBAAKCAQEA\nabc=\n"
BEGIN, END = "-----BEGIN RSA PRIVATE" + " KEY-----", "-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("GET /x Authorization: Bearer abc.d-e", "GET /x Authorization: Bearer •••"),
        ("curl -H 'authorization: basic dTpw' https://h/", "curl -H 'authorization: basic •••' https://h/"),
        ("Proxy-Authorization: abc", "Proxy-Authorization: •••"),
        ("Authorization: Unheard-Of abc, next", "Authorization: ••• next"),
        ('Authorization: Digest username="u", response="ff"\nHost: h', "Authorization: Digest •••\nHost: h"),
        ('{"Authorization": "Bearer abc", "n": 1}', '{"Authorization": "Bearer •••", "n": 1}'),
        ("password=abc", "password=•••"),
        ("PASSWORD = abc next", "PASSWORD = ••• next"),
        ("passwd: abc", "passwd: •••"),
        ("passwd:abc", "passwd:•••"),
        ("PGPASSWORD=abc psql", "PGPASSWORD=••• psql"),
        ("/login?password=a%20b&next=/", "/login?password=•••&next=/"),
        ("?to=%3Fpassword%3Dabc", "?to=%3Fpassword%3D•••"),
        ("password='a b' next", "password='•••' next"),
        ('password="a \\" b" next', 'password="•••" next'),
        ('password="a b without an end', 'password="•••'),
        ("password=ab\"cd'ef next", "password=••• next"),
        ('{"user_password":"a","n":1}', '{"user_password":"•••","n":1}'),
        ("user[password]=abc", "user[password]=•••"),
        ("x --password abc --quiet", "x --password ••• --quiet"),
        ("x --password 'a b' y", "x --password '•••' y"),
        ("x --password=abc y", "x --password=••• y"),
        ("x --http-passwd abc", "x --http-passwd •••"),
        ("['x', '--password', 'abc', 'y']", "['x', '--password', '•••', 'y']"),
        ("x --password -abc", "x --password •••"),
        ("mysql -u root -p'a b' db", "mysql -u root -p'•••' db"),
        ('mysqldump -p"a b" db', 'mysqldump -p"•••" db'),
        ("/usr/bin/mysqladmin -pabc | ssh -p22 h", "/usr/bin/mysqladmin -p••• | ssh -p22 h"),
        ("mariadb -pabc; mysql -pdef", "mariadb -p••• mysql -p•••"),
        ("['mysql', '-pabc', 'db']", "['mysql', '-p•••', 'db']"),
        (f"key {AWS}, next", "key •••, next"),
        (f"git clone {GITHUB}", "git clone •••"),
        (f"x={GITHUB.replace('ghp', 'gho')} {GITHUB.replace('ghp', 'ghs')}", "x=••• •••"),
        (f"({FINE})", "(•••)"),
        (f"'{SLACK}'", "'•••'"),
        (f"{STRIPE};", "•••;"),
        (f"?t={JWT}&x", "?t=•••&x"),
        (f"Bearer%20{JWT}", "Bearer%20•••"),
        (f"a\n{BEGIN}\n{KEY}{END}\nb", f"a\n{BEGIN}•••{END}\nb"),
        (f"a\n{BEGIN}\n{KEY}", f"a\n{BEGIN}•••"),
        ("amqp://u:p@h:5672/", "amqp://•••@h:5672/"),
        ("https://abc@h/ and https://u:p@q@h", "https://•••@h/ and https://•••@h"),
    ],
)
def test_a_secret_is_hidden_and_what_is_around_it_stays(text: str, hidden: str) -> None:
    assert hide_secrets(text) == (hidden, hidden.count(MASK))
    assert hide_secrets(hidden) == (hidden, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Failed password for bob from 192.0.2.4 port 22 ssh2",
        "PWD=/home/bob ; USER=root ; COMMAND=/bin/ls",
        "password=",
        'password=""',
        "mysql --password -u root",
        "mysql --password --user root",
        "mysql -p db",
        "mysql -P3306 --port 3306",
        "mkdir -px && ssh -p22 h",
        "https://h/@me?mail=a@b.org#c@d",
        "see https://h and a@b.org",
        "Asia/Tokyo, ghp_short, eyJ.eyJ.x, sk_live_short, xoxb-short, AKIA",
        f"{AWS}X{AWS}",
        "the authorization was refused",
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
        "compass=north bypass: 1",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide_secrets(text) == (text, 0)


def test_each_secret_of_a_text_is_counted_once() -> None:
    text = f"https://u:{GITHUB}@h/ password={STRIPE} Authorization: Bearer {JWT} {SLACK}"

    assert hide_secrets(text) == ("https://•••@h/ password=••• Authorization: Bearer ••• •••", 4)


PLAIN = st.text("ab1 .,:;/?=&'\"\n-é", max_size=12)


@given(PLAIN, st.sampled_from([GITHUB, FINE, SLACK, STRIPE, AWS, JWT]), PLAIN)
def test_a_token_is_hidden_wherever_it_stands_alone(before: str, token: str, after: str) -> None:
    text = f"{before} {token} {after}"

    hidden, count = hide_secrets(text)

    assert token not in hidden
    assert (hidden, count) == (f"{before} {MASK} {after}", 1)


PIECES = [
    "password",
    "Authorization",
    "=",
    ": ",
    " ",
    "'",
    '"',
    "\\",
    "bearer ",
    "--",
    "-p",
    "mysql",
    "://",
    "@",
    "&",
    "/",
]


@given(st.lists(st.sampled_from([*PIECES, "abc", "\n", MASK, "digest ", "eyJ", GITHUB]), max_size=12).map("".join))
def test_any_text_is_taken_and_a_token_in_it_is_hidden_whatever_is_around_it(text: str) -> None:
    hidden, count = hide_secrets(text)

    assert (count == 0) == (hidden == text)
    assert len(hidden) <= len(text) + count * len(MASK)
    assert GITHUB not in hidden


SIZE = 1_000_000  # characters
HOSTILE = [
    "password=",
    'password="',
    'password="\\',
    "password='\\\"",
    "password ",
    "passwordpassword",
    "authorization: ",
    "authorization:bearer ",
    "authorization: digest '",
    "authorization:a ",
    "--",
    "--pass ",
    "--password -",
    "mysql",
    "mysql ",
    "mysql -p",
    "mysql -p'",
    "mysql -p&",
    "://",
    "://@",
    "://a@",
    "eyJ",
    "eyJaaaaaaaaa.",
    "eyJaaaaaaaaa.eyJ",
    "%20eyJ",
    "github_pat_",
    "ghp_aaaaaaaaa",
    "xoxb-",
    "sk_live_",
    "AKIA",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----a-----END ",
    " ",
    "\\",
    "'",
    "•••",
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("before", ["", "mysql private key password authorization --pass :// eyJ"])
def test_a_megabyte_of_nearly_secrets_does_not_hold_it_up(piece: str, before: str) -> None:
    hidden, count = hide_secrets(before + piece * (SIZE // len(piece)) + "!")

    assert hidden.startswith(before[:5])
    assert count <= SIZE // 2


@pytest.mark.parametrize(
    ("value", "hidden", "count"),
    [
        (None, None, 0),
        (7, 7, 0),
        ("password=abc", "password=•••", 1),
        ({"url": ["https://u:p@h/", 1, True]}, {"url": ["https://•••@h/", 1, True]}, 1),
        ({"password": "abc", "user": "bob"}, {"password": "•••", "user": "bob"}, 1),
        ({"dbPasswd": "a", "client-secret": "b"}, {"dbPasswd": "•••", "client-secret": "•••"}, 2),
        ({"accessToken": "a", "X-Api-Key": "b"}, {"accessToken": "•••", "X-Api-Key": "•••"}, 2),
        ({"Authorization": "Bearer a"}, {"Authorization": "•••"}, 1),
        ({"token": {"kind": ["a", 5, {"n": "b"}]}}, {"token": {"kind": ["•••", 5, {"n": "•••"}]}}, 2),
        ({"secret": "", "api_key": MASK, "apikey": None}, {"secret": "", "api_key": MASK, "apikey": None}, 0),
        ({"a": ({"b": f"x {GITHUB}"},)}, {"a": [{"b": "x •••"}]}, 1),
    ],
)
def test_secrets_are_hidden_at_any_depth_and_under_their_names(value: Any, hidden: Any, count: int) -> None:
    assert hide_in(value) == (hidden, count)


def test_what_is_given_stays_as_it_is() -> None:
    given_data: Mapping[str, Any] = {"a": {"password": "abc"}, "b": ["password=abc"]}

    hide_in(given_data)

    assert given_data == {"a": {"password": "abc"}, "b": ["password=abc"]}


def test_a_value_may_be_deeper_than_python_s_stack() -> None:
    value: Any = "password=abc"
    for _ in range(50_000):
        value = [value]

    hidden, count = hide_in(value)

    for _ in range(50_000):
        (hidden,) = hidden
    assert (hidden, count) == ("password=•••", 1)
