"""Users' and servers' texts are shown, and no terminal, log line or header obeys them."""

import io
import json
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from child_processes import inherited_environment
from chronos_common import cli, logs
from chronos_common.doctor import examination
from chronos_common.doctor.findings import Finding, Level
from chronos_common.domain.texts import one_line, visible
from chronos_common.embedded import data_folder
from chronos_common.embedded.console import Terminal
from chronos_common.errors import Conflict

HOSTILE = {
    "a colour": "\x1b[31mred",
    "a title": "\x1b]0;owned\x07",
    "a clear screen": "\x1b[2J\x1b[H",
    "C1": "\x9b31m",
    "a carriage return": "true\rfake",
    "a line feed": "a\n2026-11-30 [error] forged",
    "backspaces": "rm\x08\x08",
    "a delete": "a\x7fb",
    "a NUL": "a\0b",
    "next line": "a\x85b",
    "a line separator": "a\u2028b",
    "a paragraph separator": "a\u2029b",
    "an override": "user\u202egpj.exe",
    "an isolate": "a\u2067b\u2069",
    "a mark": "a\u200fb\u061c",
    "a byte order mark": "\ufeffa",
}
CONTROLS = set("".join(HOSTILE.values())) - set(map(chr, range(0x20, 0x7F)))

every_text = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())


def obeyed(shown: str, *, but: str = "\n") -> set[str]:
    """Return the control characters that stand in the text as they are."""
    return CONTROLS & (set(shown) - set(but))


@every_text
def test_a_text_is_visible(text: str) -> None:
    assert not obeyed(visible(text), but="")
    assert not obeyed(one_line(text), but="")


def test_half_a_character_is_visible() -> None:
    """It is none of the texts above: pytest's workers could not report a log that holds it."""
    assert "\ud800" not in visible("a\ud800b") + one_line("a\ud800b")


def test_ordinary_texts_stay_as_they_are() -> None:
    text = "Grüße, \U0001f469\u200d\U0001f680, שלום, C:\\temp"
    assert visible(text) == one_line(text) == text
    assert visible("a\n\tb\x1b", keep="\n\t") == "a\n\tb\\x1b"


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The log in one of its forms."""
    root = logging.getLogger()
    before = root.handlers, root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure_as(request.param, "info")
    yield stream
    root.handlers, root.level = before


@every_text
def test_a_log_line_stays_one_line(log: io.StringIO, text: str) -> None:
    logging.getLogger("test").warning("the target says %s", text)
    logs._log.bind().warning(text, answer=text, inner={"name": [text]})
    written = log.getvalue()
    assert not obeyed(written)
    assert written.count("\n") == 2


@every_text
def test_a_traceback_in_the_log_obeys_nothing(log: io.StringIO, text: str) -> None:
    try:
        raise ValueError(text)  # noqa: TRY301 - a traceback is wanted
    except ValueError:
        logging.getLogger("test").exception("failed")
    assert not obeyed(log.getvalue())


@every_text
def test_the_command_line_shows_an_error(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise Conflict(text)

    monkeypatch.setattr(cli, "chronos", fail)
    with pytest.raises(SystemExit):
        cli.main()
    assert not obeyed(capsys.readouterr().err)


@every_text
@pytest.mark.parametrize("as_json", [False, True])
def test_doctor_shows_a_finding(text: str, *, as_json: bool) -> None:
    finding = Finding("jobs", Level.PROBLEM, text, text)

    @click.command()
    def show() -> None:
        examination._show([finding], as_json=as_json)

    shown = CliRunner().invoke(show).output
    assert "jobs" in shown
    assert not obeyed(shown)


@every_text
def test_doctor_shows_a_remark_about_a_variable(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def connect(*_: object, **__: object) -> None:
        raise Conflict

    data_folder.remember(tmp_path, {"DATABASE_URL": "-", "REDIS_URL": "-"})
    monkeypatch.setattr(examination.settings, "export_missing", lambda _: None)
    monkeypatch.setattr(examination.settings, "load", lambda: SimpleNamespace(database_url="-"))
    monkeypatch.setattr(examination.settings, "remarks", lambda: [f"CHRONOS_{text} is no setting"])
    monkeypatch.setattr(examination, "connect", connect)
    with pytest.raises(Conflict):
        examination.run(tmp_path, as_json=False)
    shown = capsys.readouterr().err
    assert "is no setting" in shown
    assert not obeyed(shown)


@every_text
def test_the_terminal_of_up_shows_a_log(text: str) -> None:
    file = io.StringIO()
    terminal = Terminal(verbose=True, file=file)
    record = {"level": "error", "event": text, "detail": text}
    terminal.show_log("worker", json.dumps(record))
    assert file.getvalue().count("\n") == 1
    terminal.show_log("postgres", text)
    terminal.say(text)
    assert not obeyed(file.getvalue())


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\u202eb"])
def test_an_unknown_command_is_not_obeyed(name: str) -> None:
    command = [sys.executable, "-m", "chronos_common.cli", name]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=inherited_environment()
    )
    assert done.returncode == 2
    assert not obeyed(done.stderr)
