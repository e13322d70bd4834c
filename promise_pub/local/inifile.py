"""Settings written as a configuration file: what `config.read` takes, of what `config.cast` made."""

from __future__ import annotations

import configparser
import io
from dataclasses import fields
from pathlib import Path
from typing import Any

from promise_pub.local.processes import write_private
from promise_pub.settings.model import Settings


def options(section: Any) -> dict[str, str]:
    """A section's options as text. Paths are made absolute: the file may be read from another folder."""
    values = ((option.name, getattr(section, option.name)) for option in fields(section))
    return {name: _text(value) for name, value in values if value is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value.absolute() if isinstance(value, Path) else value)


def write(path: Path, settings: Settings) -> None:
    """Writes the file, readable by its owner alone: there are passwords in it."""
    parser = configparser.ConfigParser(interpolation=None, default_section="\0none")
    parser.read_dict({name: options(section) for name, section in settings.sections().items()})
    text = io.StringIO()
    parser.write(text)
    write_private(path, text.getvalue())
