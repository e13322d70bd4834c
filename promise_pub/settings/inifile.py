"""Configuration files as text: reading one, with every fault of its form, and writing one.

A faulty line may hold a password: complaints quote line numbers and plain names only.
"""

from __future__ import annotations

import configparser
import io
import re
import secrets
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from promise_pub.errors import ConfigurationError
from promise_pub.files import write_private

Values = dict[str, dict[str, str]]
"""Sections and their options, not cast yet."""

_OPTION_NAME = re.compile(r"[a-z0-9_-]{1,40}")
# Begins the name that replaces a repeated section or option; no file can have it.
_AGAIN = f"\0{secrets.token_hex(8)} "


def read(path: Path) -> tuple[Values, list[str]]:
    """Returns the options of a file, and its faults in the order of lines. A fault does not hide what follows it.

    Raises ConfigurationError when the file cannot be read at all.
    """
    lines = _read_lines(path)
    faults: dict[int, str] = {}
    while True:
        parser = _parser()
        try:
            parser.read_file(lines)
        except configparser.DuplicateOptionError as error:
            line = error.lineno or 0
            faults[line] = f"[{error.section}] {shown(error.option)}: is set twice"
            lines[line - 1] = f"{_AGAIN}{line} =\n"
        except configparser.DuplicateSectionError as error:
            line = error.lineno or 0
            faults[line] = f"[{error.section}]: appears twice"
            lines[line - 1] = f"[{_AGAIN}{line} {error.section}]\n"
        except configparser.MissingSectionHeaderError as error:
            faults[error.lineno] = f"line {error.lineno}: comes before the first [section]"
            _skip_to_section(lines, error.lineno)
        except configparser.ParsingError as error:
            for line, _ in error.errors:
                faults[line] = f"line {line}: is neither a [section] nor an option = value"
            break
        else:
            break
    return _values(parser), [f"{path}: {faults[line]}" for line in sorted(faults)]


def _parser() -> configparser.ConfigParser:
    return configparser.ConfigParser(interpolation=None, default_section="\0none")


def _read_lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.readlines()
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:  # quotes the bytes it could not read
        raise ConfigurationError([f"{path}: is not UTF-8 text: byte {error.start + 1}"]) from None


def _skip_to_section(lines: list[str], number: int) -> None:
    for index in range(number - 1, len(lines)):
        if configparser.ConfigParser.SECTCRE.match(lines[index].strip()):
            return
        lines[index] = "\n"


def _values(parser: configparser.ConfigParser) -> Values:
    """Returns the options that were set. Repeated sections are merged."""
    values: Values = {}
    for name in parser.sections():
        section = name.removeprefix(_AGAIN).partition(" ")[2] if name.startswith(_AGAIN) else name
        options = values.setdefault(section, {})
        for option, value in parser[name].items():
            if not option.startswith(_AGAIN):
                options.setdefault(option, value)
    return values


def shown(option: str) -> str:
    """Returns an option's name, unless it may be something else: `password my=secret` has the name `password my`."""
    return option if _OPTION_NAME.fullmatch(option) else "(the text before = is not an option name)"


def remove_continued(values: Values) -> Iterable[str]:
    """Removes values of several lines, and yields a complaint about each.

    configparser takes an indented line for more of the value above it; no option here has such a value.
    """
    for section, options in values.items():
        for name in [name for name, value in options.items() if "\n" in value]:
            del options[name]
            yield f"[{section}] {shown(name)}: the next line is indented, which makes it part of this value"


def options(section: Any) -> dict[str, str]:
    """Returns the options of cast settings as text. Paths become absolute: another folder may be the current one."""
    values = ((option.name, getattr(section, option.name)) for option in fields(section))
    return {name: _text(value) for name, value in values if value is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value.absolute() if isinstance(value, Path) else value)


def write(path: Path, settings: Any) -> None:
    """Writes `model.Settings` as a file that only its owner may read: it has passwords in it."""
    parser = _parser()
    parser.read_dict({name: options(section) for name, section in settings.sections().items()})
    text = io.StringIO()
    parser.write(text)
    write_private(path, text.getvalue())
