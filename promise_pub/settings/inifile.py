"""A configuration file → its sections and options, and everything that is wrong with its form.

What is complained of may hold a password: only places and plain names are told.
"""

from __future__ import annotations

import configparser
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from promise_pub.errors import ConfigurationError

Values = dict[str, dict[str, str]]
"""Sections and their options, not cast yet."""

_OPTION_NAME = re.compile(r"[a-z0-9_-]{1,40}")
# Begins what stands in for a section or an option that is there already; no file can have it.
_AGAIN = f"\0{secrets.token_hex(8)} "


def read(path: Path) -> tuple[Values, list[str]]:
    """What the file sets, and what is wrong with it, line by line; the rest of it is read all the same.

    Raises ConfigurationError when it cannot be read at all.
    """
    lines = _lines(path)
    told: dict[int, str] = {}
    while True:
        parser = configparser.ConfigParser(interpolation=None, default_section="\0none")
        try:
            parser.read_file(lines)
        except configparser.DuplicateOptionError as error:
            told[_line(error)] = f"[{error.section}] {shown(error.option)}: is set twice"
            _replace(lines, _line(error), f"{_AGAIN}{_line(error)} =")
        except configparser.DuplicateSectionError as error:
            told[_line(error)] = f"[{error.section}]: stands there twice"
            _replace(lines, _line(error), f"[{_AGAIN}{_line(error)} {error.section}]")
        except configparser.MissingSectionHeaderError as error:
            told[error.lineno] = f"line {error.lineno}: stands before any [section]"
            _skip_to_a_section(lines, error.lineno)
        except configparser.ParsingError as error:
            for line, _ in error.errors:
                told[line] = f"line {line}: is neither a [section] nor an option = value"
            break
        else:
            break
    return _values(parser), [f"{path}: {told[line]}" for line in sorted(told)]


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.readlines()
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:  # quotes what it could not read
        raise ConfigurationError([f"{path}: is not UTF-8 text: byte {error.start + 1}"]) from None


def _line(error: configparser.DuplicateOptionError | configparser.DuplicateSectionError) -> int:
    assert error.lineno  # always there, of what was read
    return error.lineno


def _replace(lines: list[str], number: int, text: str) -> None:
    lines[number - 1] = f"{text}\n"


def _skip_to_a_section(lines: list[str], number: int) -> None:
    for index in range(number - 1, len(lines)):
        if configparser.ConfigParser.SECTCRE.match(lines[index].strip()):
            return
        lines[index] = "\n"


def _values(parser: configparser.ConfigParser) -> Values:
    """What was set; a section that stands there twice counts as one."""
    values: Values = {}
    for name in parser.sections():
        section = name.removeprefix(_AGAIN).partition(" ")[2] if name.startswith(_AGAIN) else name
        options = values.setdefault(section, {})
        for option, value in parser[name].items():
            if not option.startswith(_AGAIN):
                options.setdefault(option, value)
    return values


def shown(option: str) -> str:
    """An option's name, unless it may be something else: `password my=secret` has the name `password my`."""
    return option if _OPTION_NAME.fullmatch(option) else "(what stands before the = is no name)"


def over_several_lines(values: Values) -> Iterable[str]:
    """configparser takes an indented line for more of the value above it; no option here has such a value."""
    for section, options in values.items():
        for name in [name for name, value in options.items() if "\n" in value]:
            del options[name]
            yield f"[{section}] {shown(name)}: the line after it is indented, as if it belonged to it"
