"""What ``chronos up`` shows of its children's logs and of the demo's executions."""

import contextlib
import io
import json
import os

import pytest

from chronos_common.embedded.console import Terminal
from chronos_common.embedded.demo.jobs import describe


def shown(line: str, *, verbose: bool = False) -> str:
    output = io.StringIO()
    Terminal(verbose=verbose, file=output).show_log("worker", line)
    return output.getvalue()


def record(level: str, **details: object) -> str:
    timestamp = "2026-11-21T12:00:01.250000Z"
    return json.dumps({"event": "it happened", "level": level, "timestamp": timestamp} | details)


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_warnings_and_worse_are_shown_on_one_line(level: str) -> None:
    text = shown(record(level, job_id="a-long-identifier-of-a-job", logger="x"))
    expected = f"12:00:01 worker {level}: it happened (job_id=a-long-identifier-of-a-job)\n"
    assert text == expected


def test_ordinary_lines_are_shown_only_when_all_are_wanted() -> None:
    assert shown(record("info")) == ""
    assert shown(record("info"), verbose=True) == "12:00:01 worker info: it happened\n"


@pytest.mark.parametrize("line", ["plain text", "[1, 2]", "null", '"x"', "{", ""])
def test_lines_that_are_not_records_are_shown_as_they_are_when_all_are_wanted(line: str) -> None:
    assert shown(line) == ""
    assert shown(line, verbose=True) == f"worker: {line}\n"


def test_markup_in_a_log_line_is_not_read() -> None:
    assert "[bold]x[/nonsense]" in shown(record("error", value="[bold]x[/nonsense]"))


def test_an_exception_is_cut_to_its_last_line_unless_all_are_wanted() -> None:
    line = record("error", exception="Traceback ...\n  File ...\nValueError: bad")
    assert shown(line).endswith("it happened - ValueError: bad\n")
    assert "Traceback" in shown(line, verbose=True)


def execution(**changes: object) -> dict[str, object]:
    return {
        "id": "x",
        "job_name": "A job with a name that is longer than the column",
        "status": "succeeded",
        "scheduled_for": "2026-11-21T12:00:01Z",
        "started_at": "2026-11-21T12:00:01.003Z",
        "finished_at": "2026-11-21T12:00:01.015Z",
        "attempt": 1,
        "max_attempts": 4,
        "http_status": 200,
        "drift_ms": 3.2,
        "duration_ms": 12,
        "reason": None,
    } | changes


def test_an_execution_is_described_on_one_line_with_columns() -> None:
    line = describe(execution())
    assert line.split()[-6:] == ["1/4", "200", "3", "ms", "12", "ms"]
    assert ".015 A job with a name that is  " not in line
    assert "A job with a name that is" in line


def test_an_execution_that_waits_to_be_tried_again_shows_the_attempt_that_failed() -> None:
    line = describe(execution(status="retrying", attempt=3, finished_at=None, http_status=500))
    assert line.split()[-7:-4] == ["retrying", "2/4", "500"]


def test_an_execution_that_never_ran_is_described_with_its_reason() -> None:
    line = describe(
        execution(
            status="skipped",
            started_at=None,
            finished_at=None,
            http_status=None,
            drift_ms=None,
            duration_ms=None,
            reason="overlap",
        )
    )
    assert line.split()[-3:] == ["skipped", "1/4", "overlap"]


def test_a_reader_that_has_gone_does_not_end_the_writer() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    output = os.fdopen(writer, "w")
    terminal = Terminal(verbose=False, file=output)
    terminal.say("nobody reads this")
    terminal.say("nor this")
    with contextlib.suppress(BrokenPipeError):
        output.close()
