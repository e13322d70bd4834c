"""Files of the local stack: none that it made is open to other users."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from promise_pub.errors import ConfigurationError, LocalStackError
from promise_pub.local import LocalStack, rabbitmq
from promise_pub.local.postgres_home import check_accounts
from promise_pub.local.state_folder import close, recognise
from promise_pub.settings.model import ServerSettings

USERS = ServerSettings(auth="users")


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o750, 0o1777])
def test_a_state_folder_that_others_may_enter_is_closed_to_them(tmp_path: Path, mode: int) -> None:
    state, link = tmp_path / "state", tmp_path / "link"
    state.mkdir()
    link.symlink_to(state)
    for path in (state, link):
        state.chmod(mode)
        close(path)
        assert rights(state) == 0o700
        recognise(path)


def test_a_folder_with_files_of_others_keeps_its_rights_and_is_refused_where_they_may_write(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    tmp_path.chmod(0o755)
    close(tmp_path)
    assert rights(tmp_path) == 0o755
    for mode in (0o775, 0o757, 0o1777):
        tmp_path.chmod(mode)
        with pytest.raises(LocalStackError, match=f"chmod go-w {tmp_path}"):
            close(tmp_path)


def test_accounts_are_not_kept_in_a_database_of_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    check_accounts(USERS)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    check_accounts(ServerSettings())
    with pytest.raises(ConfigurationError, match=r"\[server\] auth: cannot be users .* as root.* as an ordinary user"):
        check_accounts(USERS)


async def test_the_stack_of_root_does_not_start_with_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    state = tmp_path / "state"
    with pytest.raises(ConfigurationError, match=r"\[server\] auth"):
        async with LocalStack(state, {"server": {"auth": "users"}}, report=print, warn=print):
            pytest.fail("it started")
    assert not state.exists()


def test_a_cookie_of_another_user_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = tmp_path / ".erlang.cookie"
    rabbitmq._keep_cookie(cookie)
    ours = cookie.read_text()
    rabbitmq._keep_cookie(cookie)
    assert cookie.read_text() == ours
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    rabbitmq._keep_cookie(cookie)
    assert cookie.read_text() != ours and rights(cookie) == 0o400
