"""Limits on failed logins."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from promise_pub.accounts import login_attempts
from promise_pub.accounts.login_attempts import (
    MAX_FOR_NAME,
    MAX_FROM_ADDRESS,
    MAX_KEPT,
    MAX_PLACES,
    WINDOW,
    LoginAttempts,
)
from promise_pub.errors import (
    DatabaseUnavailable,
    LoginFailed,
    TooManyTries,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(counted: LoginAttempts, name: str = "ann", address: str = "192.0.2.1") -> None:
    with pytest.raises(LoginFailed), counted.count(name, address):
        raise LoginFailed


def refused(counted: LoginAttempts, name: str = "ann", address: str = "192.0.2.1") -> TooManyTries:
    with pytest.raises(TooManyTries) as caught, counted.count(name, address):
        raise AssertionError("nobody may try")
    return caught.value


def test_a_name_is_guarded_from_guesses_from_anywhere_until_the_time_is_over(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for number in range(MAX_FOR_NAME):
        fail(counted, address=f"192.0.2.{number}")
        clock.now += 10
    assert refused(counted, address="192.0.2.99").retry_after == WINDOW - MAX_FOR_NAME * 10
    fail(counted, name="bob")
    clock.now += WINDOW - MAX_FOR_NAME * 10
    fail(counted)
    refused(counted)


def test_an_address_may_not_try_name_after_name(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for number in range(MAX_FROM_ADDRESS):
        fail(counted, name=f"name{number}")
    assert refused(counted, name="another").retry_after == WINDOW
    fail(counted, name="another", address="192.0.2.2")


def test_the_addresses_of_one_network_count_as_one(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for number in range(MAX_FROM_ADDRESS):
        fail(counted, name=f"name{number}", address=f"2001:db8:1:2::{number:x}")
    refused(counted, name="another", address="2001:db8:1:2:ffff::1")
    fail(counted, name="another", address="2001:db8:1:3::1")
    for number in range(MAX_FROM_ADDRESS):
        fail(counted, name=f"more{number}", address="::ffff:192.0.2.1")
    fail(counted, name="another", address="::ffff:192.0.2.2")


def test_tries_at_once_are_counted_before_they_are_answered(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    begun = [counted.count("ann", "192.0.2.1") for _ in range(MAX_FOR_NAME)]
    for one in begun:
        one.__enter__()
    refused(counted)
    for one in begun:
        one.__exit__(None, None, None)
    with counted.count("ann", "192.0.2.1"):
        pass


def test_who_logs_in_is_forgiven_the_name_but_not_the_address(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for _ in range(MAX_FROM_ADDRESS // (MAX_FOR_NAME - 1)):
        for _ in range(MAX_FOR_NAME - 1):
            fail(counted)
        with counted.count("ann", "192.0.2.1"):
            pass
    while True:
        try:
            fail(counted, name="bob")
        except TooManyTries:
            break
    refused(counted, name="another")


def log_in(counted: LoginAttempts, name: str = "ann", address: str = "192.0.2.1") -> None:
    with counted.count(name, address):
        pass


@pytest.mark.parametrize("again", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:1:2::7"])
def test_nobody_is_locked_out_by_guesses_from_elsewhere_where_they_logged_in_before(clock: Clock, again: str) -> None:
    counted = LoginAttempts(clock)
    log_in(counted)
    log_in(counted, address="2001:db8:1:2::1")
    for number in range(MAX_FOR_NAME):
        fail(counted, address=f"198.51.100.{number}")
    refused(counted, address="198.51.100.99")
    for _ in range(MAX_FOR_NAME - 1):
        fail(counted, address=again)
    log_in(counted, address=again)
    refused(counted, address="198.51.100.99")  # her login gives others no more guesses


def test_guesses_from_where_a_name_logged_in_before_are_counted_too(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    log_in(counted)
    for _ in range(MAX_FOR_NAME):
        fail(counted)
    refused(counted)
    fail(counted, name="ann 192.0.2.1", address="198.51.100.1")
    fail(counted, address="198.51.100.1")
    clock.now += WINDOW
    log_in(counted)


def test_a_name_has_so_many_guesses_over_all_however_many_addresses_it_logged_in_from(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for number in range(MAX_PLACES + 3):
        log_in(counted, address=f"192.0.2.{number}")
    guesses = 0
    for number in range(MAX_PLACES + 3):
        for _ in range(MAX_FOR_NAME + 1):
            with suppress(TooManyTries, LoginFailed), counted.count("ann", f"192.0.2.{number}"):
                guesses += 1
                raise LoginFailed
    assert guesses == (MAX_PLACES + 1) * MAX_FOR_NAME


def test_a_try_without_an_answer_is_no_failed_one(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for _ in range(MAX_FROM_ADDRESS + 1):
        with pytest.raises(DatabaseUnavailable), counted.count("ann", "192.0.2.1"):
            raise DatabaseUnavailable
    fail(counted)


def test_who_hangs_up_during_a_try_has_had_it(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for _ in range(MAX_FOR_NAME):
        with pytest.raises(asyncio.CancelledError), counted.count("ann", "192.0.2.1"):
            raise asyncio.CancelledError
    refused(counted)


def test_memory_is_bounded_whatever_is_tried(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_attempts, "MAX_KEPT", 100)
    counted = LoginAttempts(clock)
    for number in range(300):
        for _ in range(2):
            log_in(counted, name=f"{number}", address=f"{number}" + "y" * 5000)
            fail(counted, name=f"{number}", address=f"{number}" + "y" * 5000)
        fail(counted, name=f"{number}" + "x" * 5000, address=f"{number}" + "y" * 5000)
    names, addresses = counted._names._failed, counted._addresses._failed
    at_places, places = counted._names_at_places._failed, counted._places._of
    assert max(map(len, (names, addresses, at_places, places))) <= 100 < MAX_KEPT
    assert max(map(len, [*names, *addresses, *places])) <= 64 and max(map(len, at_places)) <= 129
