"""A complete configuration, and files of it: shared by the tests of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from promise_pub.errors import ConfigurationError
from promise_pub.settings import model
from promise_pub.settings.model import Settings

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
