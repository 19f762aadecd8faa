"""Secrets in files, which ``CHRONOS_<NAME>_FILE`` names."""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from chronos_common import settings
from chronos_common.errors import SettingsInvalid
from chronos_common.settings import Settings

REQUIRED = {
    "CHRONOS_DATABASE_URL": "postgresql://chronos:secret@db.example:5432/chronos",
    "CHRONOS_REDIS_URL": "redis://:secret@redis.example:6379/0",
    "CHRONOS_SECRET_KEY": "0123456789abcdef0123456789abcdef",
}
SECRETS = {
    *("CHRONOS_DATABASE_URL", "CHRONOS_REDIS_URL", "CHRONOS_SECRET_KEY"),
    *("CHRONOS_SMTP_URL", "CHRONOS_TASKS_BROKER_URL"),
}

Load = Callable[[Mapping[str, str]], Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Read the settings from the required ones and those that are given."""

    def load_from(given: Mapping[str, str]) -> Settings:
        monkeypatch.setattr(os, "environ", {"HOME": "/home/somebody"} | REQUIRED | dict(given))
        return settings.load()

    return load_from


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], str]:
    def write(content: bytes) -> str:
        path = tmp_path / "secret"
        path.write_bytes(content)
        return str(path)

    return write


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("name", sorted(SECRETS))
def test_every_secret_may_stand_in_a_file(
    load: Load, file: Callable[[bytes], str], name: str, ending: bytes
) -> None:
    values = {
        **REQUIRED,
        "CHRONOS_SMTP_URL": "smtp://mail",
        "CHRONOS_TASKS_BROKER_URL": "redis://b/0",
    }
    path = file(values[name].encode() + ending)
    # An empty variable is one that a copy of .env.example leaves open.
    loaded = load({name: "", f"{name}_FILE": path})
    assert loaded == load({name: values[name]})
    assert settings.remarks() == []


def test_the_secrets_are_all_settings_that_are_not_printed() -> None:
    hidden = {each.name for each in fields(Settings) if not each.repr}
    assert {f"CHRONOS_{name.upper()}" for name in hidden} == SECRETS
    names = {f"CHRONOS_{name.upper()}" for name in settings.DECLARED}
    with_passwords = {name for name in names if name.endswith(("_KEY", "_URL"))}
    assert with_passwords - SECRETS == {"CHRONOS_PUBLIC_URL"}


def test_a_secret_in_a_file_is_read_by_child_processes_too(
    load: Load, file: Callable[[bytes], str]
) -> None:
    load({"CHRONOS_SECRET_KEY": "", "CHRONOS_SECRET_KEY_FILE": file(b"k" * 40)})
    inherited = settings.environment({})
    assert inherited["CHRONOS_SECRET_KEY"] == "k" * 40
    assert "CHRONOS_SECRET_KEY_FILE" not in inherited


def test_a_secret_that_is_given_twice_is_refused(load: Load, file: Callable[[bytes], str]) -> None:
    given = {"CHRONOS_SECRET_KEY_FILE": file(b"k" * 40), "CHRONOS_API_PORT": "eighty"}
    with pytest.raises(SettingsInvalid) as caught:
        load(given)
    lines = str(caught.value).splitlines()[1:]
    assert (
        "  CHRONOS_SECRET_KEY_FILE: CHRONOS_SECRET_KEY is given too; remove one of them" in lines
    )
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory; this process is user"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is no text in UTF-8"),
        (b"k" * 70_000, "is too long"),
    ],
)
def test_a_file_without_a_secret_is_named_with_the_reason(
    load: Load, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "missing"
    if content is not None:
        path.write_bytes(content)
    given = {"CHRONOS_SECRET_KEY": "", "CHRONOS_SECRET_KEY_FILE": str(path)}
    for read in (lambda: load(given), lambda: settings.given("SECRET_KEY")):
        with pytest.raises(SettingsInvalid) as caught:
            read()
        [line] = str(caught.value).splitlines()[1:]
        assert line.startswith(f"  CHRONOS_SECRET_KEY_FILE: {path} ")
        assert reason in line
