"""Secrets in what events tell: passwords, tokens and keys, which are hidden before an event is written. Pure.

Rather too much is hidden than too little. A secret is found by its own form or by the word before it, within one text: a
key of many lines that are an event each is not, and neither is a password that stands there without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "•••"

# In each pattern the last group that took part is the secret. None may take more than linear time: what repeats
# is possessive, bounded, or ends where the next match may begin, and a quoted text without an end goes on to the end of all.
_VALUE = r"""(?:"((?:[^"\\]|\\.)++)|'((?:[^'\\]|\\.)++)|((?:[^\s&"']|["'](?=\w))++))"""
# Tokens begin where a word does, also behind a character that is escaped in a URL.
_BEGIN = r"(?:(?<![\w-])|(?<=%[0-9A-Fa-f]{2}))"

_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----((?:(?!-----END )[\s\S])++)")
_USERINFO = re.compile(r"""://([^\s/?#"<>]+)@""")
_AUTHORIZATION = re.compile(
    r"""authorization[\\"'\]]{0,2}[ \t]*+[:=]>?[ \t\\"']{0,4}(?:"""
    r"""(?:bearer|basic|token|negotiate|ntlm|apikey)[ \t]++([^\s"'\\]++)"""
    # These have several parts, with quotes in them.
    r"""|(?:digest|oauth|hawk|aws4-hmac-sha256)[ \t]++([^\r\n']++)"""
    # Of another scheme, or of none.
    r"""|([a-z][a-z0-9-]*+[ \t]++[^\s"'\\]++|[^\s"'\\]++))""",
    re.IGNORECASE,
)
_PASSWORD_OPTION = re.compile(
    # The next option is no password.
    rf"""--[\w-]{{0,20}}?pass(?:word|wd|phrase)?["']?,?[ \t]++(?!--|-[a-z]?(?:\s|\Z)){_VALUE}""",
    re.IGNORECASE | re.DOTALL,
)
_PASSWORD = re.compile(
    rf"""(?:pass(?:word|wd|phrase)|mysql_pwd)[\w.\]-]{{0,24}}[\\"']{{0,2}}[ \t]*+(?:[:=]>?|%3[ad])[ \t]*+{_VALUE}""",
    re.IGNORECASE | re.DOTALL,
)
# It has no end where there is no -p, so that it is looked for once.
_MYSQL = re.compile(rf"""(?:mysql|mariadb)(?:(?![\s"']-p\S).)*+(?:.-p{_VALUE})?""", re.DOTALL)
_AWS_KEY = re.compile(rf"{_BEGIN}((?:AKIA|ASIA)[0-9A-Z]{{16}})(?![0-9A-Za-z])")
_GITHUB_TOKEN = re.compile(r"(gh[pousr]_[0-9A-Za-z]{20,}+)")
_GITHUB_FINE_TOKEN = re.compile(r"(github_pat_[0-9A-Za-z_]{20,}+)")
_SLACK_TOKEN = re.compile(r"(xox[a-z]-[0-9A-Za-z-]{10,}+)")
_STRIPE_KEY = re.compile(r"([sr]k_live_[0-9A-Za-z]{10,}+)")
_JWT = re.compile(rf"{_BEGIN}(eyJ[\w-]{{8,}}+\.[\w-]{{8,}}+(?:\.[\w-]*+)?)", re.ASCII)

# What a text has in small letters if the pattern may fit: most texts have none, and this is all that they cost. The first
# of two that would hide the same hides more of it.
_RULES = (
    ("private key", _KEY_BLOCK),
    ("://", _USERINFO),
    ("authorization", _AUTHORIZATION),
    ("--", _PASSWORD_OPTION),
    ("pass", _PASSWORD),
    ("mysql", _PASSWORD),
    ("mysql", _MYSQL),
    ("mariadb", _MYSQL),
    ("akia", _AWS_KEY),
    ("asia", _AWS_KEY),
    ("gh", _GITHUB_TOKEN),
    ("github_pat_", _GITHUB_FINE_TOKEN),
    ("xox", _SLACK_TOKEN),
    ("k_live_", _STRIPE_KEY),
    ("eyj", _JWT),
)
_SECRET_NAME = re.compile(r"pass(?:word|wd|phrase)|secret|token|api[-_ .]?key|private[-_ .]?key|authorization", re.I)


def hide_secrets(text: str) -> tuple[str, int]:
    """Returns a text with MASK for each secret, and how many were hidden. One that is hidden already is not counted again."""
    folded = text.lower()
    hidden = 0
    for needle, pattern in _RULES:
        if needle in folded:
            text, count = _hide(pattern, text)
            hidden += count
    return text, hidden


def _hide(pattern: re.Pattern[str], text: str) -> tuple[str, int]:
    parts: list[str] = []
    end = 0
    for found in pattern.finditer(text):
        if found.lastindex and found[found.lastindex] != MASK:
            parts += (text[end : found.start(found.lastindex)], MASK)
            end = found.end(found.lastindex)
    return "".join((*parts, text[end:])), len(parts) // 2


def hide_in(value: Any) -> tuple[Any, int]:
    """Returns a copy of a value of JSON with its secrets hidden, and how many were: in strings at any depth, and every
    string under a name such as password, secret, token, api_key or authorization. Names stay as they are."""
    whole = [value]
    hidden = 0
    left: list[tuple[Any, Any, bool]] = [(whole, 0, False)]
    while left:
        holder, place, secret = left.pop()
        item = holder[place]
        if isinstance(item, str):
            holder[place], count = _hide_string(item, secret)
            hidden += count
        elif isinstance(item, Mapping):
            holder[place] = copy = dict(item)
            left += ((copy, name, secret or bool(_SECRET_NAME.search(str(name)))) for name in item)
        elif isinstance(item, list | tuple):
            holder[place] = items = list(item)
            left += ((items, index, secret) for index in range(len(items)))
    return whole[0], hidden


def _hide_string(text: str, secret: bool) -> tuple[str, int]:
    if secret and text:
        return MASK, int(text != MASK)
    return hide_secrets(text)
