"""Options of the bus: each that a broker or a pattern of topics could not take is refused before anything starts."""

from __future__ import annotations

import pytest

from promise_pub.errors import ConfigurationError
from promise_pub.features.journal.settings import BusSettings, JournalSettings
from promise_pub.settings import model

SECTIONS = {"journal": JournalSettings, "bus": BusSettings}
REST = {
    "rabbit": {"host": "h"},
    "consumer": {"host": "h", "port": "1"},
    "database": {"dbname": "d", "user": "u", "password": ""},
}


def cast(**bus: str) -> BusSettings:
    return model.cast({**REST, "bus": bus}, {**model.SECTIONS, **SECTIONS}).of("bus", BusSettings)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("exchange", "x" * 256),
        ("exchange", "\N{CRAB}" * 64),
        ("exchange", "amq.topic"),
        ("queue", "a\x1bb"),
        ("queue", "amq.gen"),
        ("bindings", "# " + "x" * 256),
        ("bindings", "a\0b"),
        ("prefix", "a b"),
        ("prefix", "a.#"),
        ("prefix", "*"),
        ("prefix", ".a"),
        ("prefix", "a..b"),
        ("prefix", "x" * 101),
        ("enabled", "perhaps"),
    ],
)
def test_what_a_broker_or_a_pattern_could_not_take_is_refused(option: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\[bus\] {option}: must"):
        cast(**{option: value})


def test_names_and_patterns_are_taken_as_they_are() -> None:
    settings = cast(exchange="events \N{CRAB}", queue="q", bindings=" a.*   b.# ", prefix="mine.sub_1")
    assert settings == BusSettings(exchange="events \N{CRAB}", queue="q", bindings="a.* b.#", prefix="mine.sub_1")
