"""The operating system's user of the embedded servers."""

import os
import pwd
from pathlib import Path

import pytest

from chronos_common.embedded.processes import os_user
from chronos_common.embedded.processes.os_user import NoOrdinaryUser


def _missing(_: object) -> object:
    raise KeyError


def test_a_user_without_a_name_is_told_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(pwd, "getpwuid", _missing)
    with pytest.raises(NoOrdinaryUser, match="user 4711, which has no entry in /etc/passwd") as it:
        os_user.for_servers(tmp_path)
    assert "CHRONOS_DATABASE_URL" in str(it.value)
    assert "\n" not in str(it.value)


def test_root_on_a_system_without_nobody_is_told_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", _missing)
    with pytest.raises(NoOrdinaryUser, match="as an ordinary user"):
        os_user.for_servers(tmp_path / "missing")
