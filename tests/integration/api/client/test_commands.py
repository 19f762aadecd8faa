"""The command line against the application: data, exit codes, questions."""

import csv
import io
import json
import re
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine

from chronos_client.client import Chronos
from chronos_common import clock
from integration.api.callers import Caller, job
from integration.api.client.conftest import Run, end
from rigs import wait_until


@pytest.fixture
def two_jobs(caller: Caller) -> list[dict]:
    return [caller.create(name=f"Report {name}", tags=["mail"]) for name in ("one", "two")]


def test_a_list_is_data_in_each_form(run: Run, two_jobs: list[dict]) -> None:
    ids = {each["id"] for each in two_jobs}
    assert {each["id"] for each in json.loads(run("jobs", "list", "-o", "json").stdout)} == ids
    assert {each["id"] for each in yaml.safe_load(run("jobs", "list", "-o", "yaml").stdout)} == ids
    rows = csv.DictReader(io.StringIO(run("jobs", "list", "-o", "csv").stdout))
    assert {each["id"] for each in rows} == ids
    assert set(run("jobs", "list", "-o", "name").stdout.split()) == ids
    table = run("jobs", "list").stdout.splitlines()
    assert table[0].split()[:2] == ["NAME", "STATUS"]
    assert len(table) == 3


@pytest.mark.usefixtures("two_jobs")
def test_only_data_is_on_standard_output(run: Run) -> None:
    result = run("jobs", "list", "--limit", "1", "-o", "name")
    assert len(result.stdout.splitlines()) == 1
    assert "There are more" in result.stderr
    empty = run("jobs", "list", "--tag", "none", "-o", "json")
    assert (json.loads(empty.stdout), empty.exit_code) == ([], 0)


def test_names_with_escape_sequences_do_not_reach_the_terminal(run: Run, caller: Caller) -> None:
    caller.create(name="Red \u202e alert", description="\x1b[2J")
    shown = run("jobs", "get", "Red").stdout
    assert "\x1b" not in shown
    assert "\\u202e" in shown


def test_a_job_in_shadow_is_told_from_one_that_sends(run: Run, caller: Caller) -> None:
    caller.create(name="Sends")
    caller.create(name="Waits", shadow=True)
    rows = [each.split()[:2] for each in run("jobs", "list", "--sort", "name").stdout.splitlines()]
    assert rows[1:] == [["Sends", "active"], ["Waits", "shadow"]]
    assert ["Status", "shadow"] in [
        each.split() for each in run("jobs", "get", "Waits").stdout.splitlines()
    ]


def test_a_job_is_made_from_options_or_a_file_and_changed(run: Run, client: Chronos) -> None:
    url = ["--url", "https://example.com/x"]
    made = run("jobs", "create", "Report", "--cron", "0 3 * * *", *url, "--set", "max_attempts=2")
    assert made.exit_code == 0, made.stderr
    definition = yaml.safe_dump({**job(name="From a file"), "payload": {"url": url[1]}})
    assert run("jobs", "create", "-f", "-", typed=definition).exit_code == 0
    assert client.jobs.find("From a file").payload == {"url": url[1]}
    assert run("jobs", "edit", "Report", "--every", "60", "--method", "PUT").exit_code == 0
    changed = client.jobs.find("Report")
    assert (changed.interval_seconds, changed.max_attempts) == (60, 2)
    assert changed.payload == {"url": url[1], "method": "PUT"}


def test_the_editor_sends_the_fields_that_changed(
    run: Run, client: Chronos, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.jobs.create(
        job(payload={"url": "https://a.example/x", "headers": {"Authorization": "secret"}})
    )
    monkeypatch.setattr("click.edit", lambda text, **_: text.replace("name: Ping", "name: Pong"))
    assert run("jobs", "edit", "Ping").exit_code == 0
    changed = client.jobs.get(made.id)
    assert (changed.name, changed.payload) == ("Pong", made.payload)
    monkeypatch.setattr("click.edit", lambda _text, **_: None)
    assert "Nothing was changed" in run("jobs", "edit", "Pong").stderr


def test_wrong_fields_in_the_editor_are_named_and_may_be_corrected(
    run: Run, client: Chronos, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.jobs.create(job())
    texts = iter(["max_attempts: 0", "max_attempts: 5"])
    monkeypatch.setattr(
        "click.edit", lambda text, **_: text.partition("max_attempts")[0] + next(texts)
    )
    result = run("jobs", "edit", "Ping", typed="y\n")
    assert "max_attempts: " in result.stderr
    assert client.jobs.find("Ping").max_attempts == 5


def test_a_clone_is_paused_and_needs_no_secret(run: Run, client: Chronos) -> None:
    client.jobs.create(job())
    assert run("jobs", "clone", "Ping", "Pong", "--cron", "0 4 * * *").exit_code == 0
    assert client.jobs.find("Pong").status == "paused"
    secret = {"url": "https://example.com", "headers": {"Authorization": "secret"}}
    client.jobs.create(job(name="Secret", payload=secret))
    refused = run("jobs", "clone", "Secret", "Another")
    assert refused.exit_code == 4
    assert "payload.headers.Authorization" in refused.stderr


def test_several_jobs_are_counted_and_need_a_yes(
    run: Run, client: Chronos, two_jobs: list[dict]
) -> None:
    asked = run("jobs", "delete", "--tag", "mail")
    assert asked.exit_code == 2
    assert "Delete 2 jobs?" in asked.stderr
    assert client.jobs.count() == (2, True)
    assert run("jobs", "pause", "--tag", "mail", "--yes").exit_code == 0
    assert client.jobs.count(status="paused") == (2, True)
    assert run("jobs", "delete", two_jobs[0]["id"]).exit_code == 0  # one needs none
    assert run("jobs", "delete", "--tag", "mail", "--yes").exit_code == 0
    assert client.jobs.count() == (0, True)


@pytest.mark.usefixtures("two_jobs")
def test_more_jobs_than_one_request_takes_change_in_the_background(
    run: Run, client: Chronos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronos_client.commands.jobs.bulk._AT_ONCE", 1)
    asked = run("jobs", "pause", "--tag", "mail", "--note", "Moving")
    assert (asked.exit_code, "Pause 2 jobs?" in asked.stderr) == (2, True)
    assert client.jobs.count(status="paused") == (0, True)
    paused = run("jobs", "pause", "--tag", "mail", "--note", "Moving", "--yes")
    [change] = client.bulk_changes.list()
    assert f"Started bulk change {change.id}" in paused.stderr
    assert "Paused 2 of 2" in paused.stderr
    assert {job.pause_note for job in client.jobs.list(status="paused")} == {"Moving"}
    tagged = run("jobs", "tag", "--tag", "mail", "--add", "night", "--remove", "mail", "--yes")
    assert "Tagged 2 of 2" in tagged.stderr
    assert {job.tags for job in client.jobs.list()} == {("night",)}
    begun = client.bulk_changes.start("delete", {"tag": "night"}, matched=2)
    assert client.bulk_changes.get(begun.id).filter == {"tag": "night"}


def test_jobs_are_paused_for_a_time_and_with_a_note(
    run: Run, client: Chronos, two_jobs: list[dict]
) -> None:
    ids = [each["id"] for each in two_jobs]
    paused = run("jobs", "pause", *ids, "--until", "+2h", "--note", "The shop moves", "--yes")
    assert "Paused 2 of 2" in paused.stderr
    for each in ids:
        job = client.jobs.get(each)
        assert job.paused_until
        assert job.pause_note == "The shop moves"
    past = run("jobs", "pause", ids[0], "--until", "2h")
    assert past.exit_code == 4
    assert "until" in past.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("jobs", "get", "nothing"), 3, "There is no job 'nothing'"),
        (("jobs", "get", "Report"), 2, "Report one"),
        (("jobs", "create", "X", "--every", "0", "--url", "https://a.example"), 4, "interval"),
        (("jobs", "list", "--status", "odd"), 4, "status"),
        (("jobs", "lst"), 2, "Did you mean 'list'?"),
        (("jobs", "pause"), 2, "Name jobs, or choose them"),
        (("executions", "get", "01a2"), 3, "at least 8 digits"),
    ],
)
@pytest.mark.usefixtures("two_jobs")
def test_errors_have_their_exit_codes(
    run: Run, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


def test_a_server_that_is_away_has_its_own_exit_code(run: Run) -> None:
    result = run("jobs", "list", CHRONOS_URL="http://127.0.0.1:1")
    assert result.exit_code == 6
    assert "Connection refused" in result.stderr


def test_a_wrong_key_is_refused(run: Run) -> None:
    assert run("jobs", "list", CHRONOS_API_KEY="chr_wrong").exit_code == 4


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("succeeded", None, 0),
        ("failed", None, 1),
        ("cancelled", "cancelled", 5),
        ("skipped", "overlap", 5),
    ],
)
@pytest.mark.parametrize("option", ["--wait", "--follow"])
def test_the_exit_code_tells_how_a_run_ended(
    run: Run, client: Chronos, db: Engine, option: str, status: str, reason: str | None, code: int
) -> None:
    made = client.jobs.create(job())

    def end_it() -> None:
        # Not for ever: if the command fails, there is never one.
        wait_until(lambda: list(client.jobs.executions(made.id)), within=30, every=0.02)
        end(
            db,
            next(client.jobs.executions(made.id)).id,
            status,
            error="Broken" if status == "failed" else None,
            reason=reason,
        )

    worker = threading.Thread(target=end_it)
    worker.start()
    result = run("jobs", "run", "Ping", option, "--timeout", "30")
    worker.join()
    assert result.exit_code == code, result.stderr
    if option == "--follow":
        assert "Triggered by hand" in result.stdout
    else:
        assert status in result.stdout


def test_a_run_that_takes_too_long_is_no_success(run: Run, client: Chronos) -> None:
    client.jobs.create(job())
    result = run("jobs", "run", "Ping", "--wait", "--timeout", "0.1")
    assert result.exit_code == 1
    assert "still queued" in result.stderr


def test_a_run_by_hand_differs_from_its_job_as_the_options_say(
    run: Run, client: Chronos, db: Engine, tmp_path: Path
) -> None:
    client.jobs.create(job())
    patch = ["--patch", '{"body": {"day": 1}}']
    started = run("jobs", "run", "Ping", *patch, "--note", "Again", "--at", "+2h", "-o", "json")
    found = client.executions.find(json.loads(started.stdout)["id"])
    assert (found.note, found.payload["body"]) == ("Again", {"day": 1})
    assert timedelta(hours=1) < found.due_at - clock.now() < timedelta(hours=3)
    shown = run("executions", "get", found.id).stdout
    assert re.search(r"Note +Again", shown)
    assert '"body": {"day": 1}' in shown

    end(db, found.id, "failed")
    file = tmp_path / "patch.yaml"
    file.write_text("body: {day: 2}")
    again = run(
        "executions", "retry", found.id, "--patch", f"@{file}", "--delay", "3600", "-o", "name"
    )
    retried = client.executions.get(again.stdout.strip())
    assert (retried.retry_of, retried.payload["body"]) == (found.id, {"day": 2})
    assert retried.due_at - clock.now() > timedelta(minutes=50)


def test_wrong_options_of_a_run_are_named(run: Run, client: Chronos) -> None:
    client.jobs.create(job())
    refused = run("jobs", "run", "Ping", "--at", "+2h", "--delay", "5")
    assert (refused.exit_code, "either run_at or delay_seconds" in refused.stderr) == (4, True)
    no_mapping = run("jobs", "run", "Ping", "--patch", "[1]")
    assert (no_mapping.exit_code, "The patch has no mapping" in no_mapping.stderr) == (2, True)
    missing = run("jobs", "run", "Ping", "--patch", "@nothing.json")
    assert (missing.exit_code, "nothing.json" in missing.stderr) == (2, True)


def test_executions_are_listed_read_cancelled_and_run_again(run: Run, client: Chronos) -> None:
    client.jobs.create(job())
    started = run("jobs", "run", "Ping", "-o", "name").stdout.strip()
    assert run("executions", "list", "--job", "Ping", "-o", "name").stdout.split() == [started]
    assert run("executions", "cancel", started[:13]).exit_code == 0
    assert run("executions", "cancel", started).exit_code == 4  # it has ended
    assert run("executions", "retry", started, "-o", "name").exit_code == 0
    assert "Triggered by hand" in run("executions", "logs", started).stdout
    history = run("jobs", "history", "Ping", "--status", "cancelled", "-o", "json").stdout
    assert [each["id"] for each in json.loads(history)] == [started]
    assert "cancelled" in run("executions", "get", started).stdout


def test_next_why_and_explain(run: Run, client: Chronos) -> None:
    made = client.jobs.create(job())
    upcoming = json.loads(run("jobs", "next", "Ping", "-o", "json").stdout)
    assert [each["at"] for each in upcoming] == [each.isoformat() for each in made.next_runs]
    assert "not_created_yet" in run("jobs", "why", "Ping", "2020-01-01T09:00Z").stdout
    assert run("jobs", "why", "Ping").exit_code == 3  # never due
    explained = run("schedule", "explain", "0 9 * * MON-FRI", "--timezone", "Europe/Berlin")
    assert "At 09:00 from Monday through Friday" in explained.stdout
    nightly = run("schedule", "explain", "30 2 * * *", "--timezone", "Europe/Berlin")
    assert "02:30 does not exist, so it runs at 03:00" in nightly.stdout
    assert run("schedule", "explain", "61 * * * *").exit_code == 4


def test_open_names_the_page_of_a_job(run: Run, client: Chronos, url: str) -> None:
    made = client.jobs.create(job())
    assert run("open", "Ping", "--print").stdout == f"{url}/ui/jobs/{made.id}\n"


@pytest.mark.usefixtures("two_jobs")
def test_a_shell_completes_names_of_jobs(run: Run) -> None:
    def complete(*words: str, **environment: str) -> list[str]:
        line = {
            "_CHRONOS_COMPLETE": "zsh_complete",
            "COMP_WORDS": " ".join(["chronos", *words]),
            "COMP_CWORD": str(len(words)),
        }
        found = run(**line, **environment).stdout.split("\n")[1::3]
        return [each for each in found if each]

    assert complete("jobs", "get", "rep") == ["Report two", "Report one"]
    assert "pause" in complete("jobs", "p")
    assert complete("jobs", "get", "rep", CHRONOS_URL="http://127.0.0.1:1") == []
