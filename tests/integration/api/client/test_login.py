"""Logging in, profiles, and the commands that need a person."""

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from chronos_client.client import Chronos
from chronos_client.errors import WaitTimedOut
from integration.api.callers import Caller
from integration.api.client.conftest import Place, Run
from integration.api.ui.pages import Browser, Page
from rigs import wait_until

NO_SERVER = {"CHRONOS_URL": None, "CHRONOS_API_KEY": None}
PROGRAM = "from chronos_client.commands.program import main; main()"
PASSWORD = "a long pass phrase of a test"


@pytest.fixture
def email(nobody: Caller) -> str:
    """The address of an account with a password."""
    address = "ada.lovelace.of.the.client@example.com"
    nobody.post("auth/register", {"email": address, "password": PASSWORD})
    return address


@pytest.fixture
def logged_in(run: Run, url: str, email: str, place: Place) -> Path:
    result = run("login", url, "--email", email, "--name", "here", typed=PASSWORD, **NO_SERVER)
    assert result.exit_code == 0, result.stderr
    return Path(place.variables["CHRONOS_PROFILES_FILE"])


def test_login_keeps_a_key_and_not_the_password(run: Run, logged_in: Path) -> None:
    assert stat.S_IMODE(logged_in.stat().st_mode) == 0o600
    assert PASSWORD not in logged_in.read_text()
    assert run("jobs", "list", **NO_SERVER).exit_code == 0
    shown = run("profiles", "list", "-o", "json", **NO_SERVER)
    assert [each["name"] for each in json.loads(shown.stdout)] == ["here"]
    assert json.loads(logged_in.read_text())["profiles"]["here"]["key"] not in shown.output


def test_a_profile_is_chosen_and_forgotten(run: Run, logged_in: Path, url: str, key: str) -> None:
    assert run("login", url, "--with-key", "--name", "other", typed=key).exit_code == 0
    assert json.loads(logged_in.read_text())["current"] == "other"
    assert run("profiles", "use", "here").exit_code == 0
    assert run("jobs", "list", "--profile", "other", **NO_SERVER).exit_code == 0
    assert run("profiles", "remove", "other").exit_code == 0
    missing = run("jobs", "list", "--profile", "other", **NO_SERVER)
    assert missing.exit_code == 2
    assert "There are: here" in missing.stderr


@pytest.mark.parametrize(
    ("answer", "code", "option"),
    [("approve", 0, "--read-only"), ("refuse", 4, "--web")],
    ids=["approved, on a terminal", "refused, without one"],
)
def test_login_through_the_dashboard(
    app: Flask, caller: Caller, run: Run, place: Place, url: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, answer: str, code: int, option: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("chronos_api.device_logins.service.INTERVAL_SECONDS", 1)
    opened = tmp_path / "opened"
    browser_program = f"sh -c 'echo $0 > {opened}.part; mv {opened}.part {opened}' %s"
    for name, value in (place.variables | {"BROWSER": browser_program}).items():
        monkeypatch.setenv(name, value)
    words = [sys.executable, "-c", PROGRAM, "login", url, option, "--name", "web"]
    keyboard, terminal = pty.openpty()
    stdin = subprocess.DEVNULL if option == "--web" else terminal
    process = subprocess.Popen(words, stdin=stdin, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(opened.exists, within=60, every=0.05)
        browser = Browser(app, caller)
        page = opened.read_text().strip().removeprefix(url)
        filled = Page(browser.client.get(page)).form("/device")
        form = Page(browser.submit(filled)).form(f"/device/{answer}")
        assert browser.submit(form, scopes="jobs:read").status_code == 200
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)
        os.close(terminal)
    assert process.returncode == code, told
    assert f"{url}/ui/device and type the code {filled.fields['code']}" in told
    assert ("was refused in the dashboard" in told) == (answer == "refuse")
    listed = run("jobs", "list", "--profile", "web", **NO_SERVER)
    assert listed.exit_code == (0 if answer == "approve" else 2)


def test_a_login_that_nobody_approves_ends(url: str) -> None:
    with Chronos(url) as client:
        codes = client.device_logins.request("CLI")
        seconds = iter(range(0, 6000, 299))
        with pytest.raises(WaitTimedOut, match="approved it in time"):
            client.device_logins.wait(
                codes, sleep=lambda _: None, monotonic=lambda: float(next(seconds))
            )


def test_ways_to_log_in_exclude_each_other(run: Run, url: str) -> None:
    result = run("login", url, "--web", "--with-key", **NO_SERVER)
    assert (result.exit_code, "exclude each other" in result.stderr) == (2, True)
    reading = run("login", url, "--with-key", "--read-only", **NO_SERVER)
    assert (reading.exit_code, "is about a new key" in reading.stderr) == (2, True)
    named = run("login", url, "--profile", "here", **NO_SERVER)
    assert (named.exit_code, "No such option" in named.stderr) == (2, True)


def test_a_wrong_password_or_key_makes_no_profile(run: Run, url: str, email: str) -> None:
    assert run("login", url, "--email", email, typed="wrong", **NO_SERVER).exit_code == 4
    assert run("login", url, "--with-key", typed="chr_wrong", **NO_SERVER).exit_code == 4
    assert run("profiles", "list", "-o", "json").stdout.strip() == "[]"


def test_keys_are_made_and_revoked_by_a_person(run: Run, logged_in: Path, url: str) -> None:
    assert logged_in
    made = run("keys", "create", "deploy", "--scope", "jobs:read", typed=PASSWORD, **NO_SERVER)
    key = made.stdout.strip()
    assert run("jobs", "list", CHRONOS_URL=url, CHRONOS_API_KEY=key).exit_code == 0
    assert "deploy" in run("keys", "list", typed=PASSWORD, **NO_SERVER).stdout
    assert run("keys", "revoke", "deploy", typed=PASSWORD, **NO_SERVER).exit_code == 0
    assert run("jobs", "list", CHRONOS_URL=url, CHRONOS_API_KEY=key).exit_code == 4


def test_members_are_listed(run: Run, logged_in: Path, email: str) -> None:
    assert logged_in
    assert run("members", "list", "-o", "name", **NO_SERVER).stdout.strip() == email
    gone = run("members", "remove", "nobody@example.com", typed=PASSWORD, **NO_SERVER)
    assert gone.exit_code == 3


def test_without_a_server_the_remedy_is_named(run: Run) -> None:
    result = run("jobs", "list", **NO_SERVER)
    assert result.exit_code == 2
    assert "chronos login URL" in result.stderr
    half = run("jobs", "list", CHRONOS_URL=None)
    assert "Set CHRONOS_URL" in half.stderr
