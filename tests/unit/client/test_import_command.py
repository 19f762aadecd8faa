"""``chronos import``: the file on standard output, the report beside it, exit codes."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from chronos_client.commands.imports import import_jobs

EXACT = "0 9 * * * curl -m 5 https://example.com/a\n"
ZONE = ["--timezone", "UTC"]


def run(*arguments: str, typed: str | bytes = EXACT) -> Result:
    return CliRunner().invoke(import_jobs, list(arguments), input=typed)


def test_an_exact_import_is_a_file_and_a_count() -> None:
    result = run("crontab", *ZONE, "--scope", "shop")
    assert result.exit_code == 0
    file = yaml.safe_load(result.stdout)
    assert (file["scope"], [each["name"] for each in file["jobs"]]) == (
        "shop",
        ["GET example.com/a"],
    )
    assert result.stderr == "1 job. 0 entries left out, 0 details not kept.\n"


def test_what_is_left_out_is_reported_with_its_line_and_the_exit_code_says_so() -> None:
    retried = EXACT.replace("curl", "curl --retry 2")
    result = run("crontab", *ZONE, typed=f"@reboot /bin/start\n{EXACT}{retried}{retried}")
    assert result.exit_code == 1
    assert len(yaml.safe_load(result.stdout)["jobs"]) == 3
    lines = result.stderr.splitlines()
    assert lines[0].startswith("Left out: @reboot /bin/start (line 1): ")
    assert lines[1].startswith("Not kept: --retry (line 3; line 4): ")
    assert lines[2] == "3 jobs. 1 entry left out, 2 details not kept."


def test_json_is_for_programs_and_so_is_its_report() -> None:
    result = run("crontab", "-o", "json", typed=f"{EXACT}@reboot a\n")
    assert json.loads(result.stdout)["scope"] == "crontab"
    findings = [json.loads(each) for each in result.stderr.splitlines()]
    assert [(each["line"], each["job"], each["left_out"]) for each in findings] == [
        (1, "GET example.com/a", True),
        (2, None, True),
    ]


def test_shadow_jobs_only_record_their_runs() -> None:
    result = run("crontab", *ZONE, "--shadow")
    assert yaml.safe_load(result.stdout)["defaults"] == {"shadow": True}
    assert "take 'shadow' out of 'defaults'" in result.stderr
    assert json.loads(run("crontab", "-o", "json", "--shadow").stdout)["defaults"]["shadow"]


def test_a_job_whose_only_instant_is_past_is_left_out() -> None:
    def schedule(year: int) -> dict:
        return {"Name": f"in {year}", "ScheduleExpression": f"at({year}-01-01T00:00:00)",
                "Target": {"Arn": "x", "RetryPolicy": {"MaximumRetryAttempts": 0}}}  # fmt: skip

    text = json.dumps({"Schedules": [schedule(2020), schedule(2990)]})
    result = run("eventbridge", "--target", "x=https://example.com/", typed=text)
    assert [each["name"] for each in yaml.safe_load(result.stdout)["jobs"]] == ["in 2990"]
    assert "in 2020" in result.stderr
    assert result.exit_code == 1


def test_a_note_about_a_line_is_no_loss() -> None:
    result = run("crontab", *ZONE, typed=f"TZ=Asia/Tokyo\n{EXACT}")
    assert result.exit_code == 0
    assert result.stderr.startswith("Note: TZ=Asia/Tokyo (line 1)")


def test_a_file_is_read_and_names_the_workflow(tmp_path: Path) -> None:
    file = tmp_path / "nightly.yml"
    file.write_text("on: {schedule: [{cron: '0 5 * * *'}], workflow_dispatch: {}}")
    result = run("github-actions", str(file), "--repository", "shop/api")
    assert result.exit_code == 0, result.stderr
    (job,) = yaml.safe_load(result.stdout)["jobs"]
    assert "/workflows/nightly.yml/" in job["payload"]["url"]


def test_a_target_takes_the_place_of_a_resource() -> None:
    schedule = {"Name": "a", "ScheduleExpression": "rate(1 day)", "Target": {"Arn": "arn:x",
                "RetryPolicy": {"MaximumRetryAttempts": 0}}}  # fmt: skip
    text = json.dumps({"Schedules": [schedule]})
    result = run("eventbridge", "--target", "arn:x=https://example.com/?a=b", typed=text)
    assert result.exit_code == 0, result.stderr
    (job,) = yaml.safe_load(result.stdout)["jobs"]
    assert job["payload"]["url"] == "https://example.com/?a=b"


@pytest.mark.parametrize(
    ("arguments", "typed", "code", "message"),
    [
        (["qstash", *ZONE], "[]", 2, "--timezone means nothing for qstash"),
        (["eventbridge", "--target", "a"], "[]", 2, "NAME=URL"),
        (["celery"], "", 2, "celery.beat.export(app)"),
        (["at"], "", 2, "crontab"),
        (["qstash"], "[", 1, "line 1, column 2"),
        (["qstash"], b"\xff", 1, "UTF-8"),
        (["github-actions"], "a: 1", 1, "--repository"),
        (["kubernetes"], "a: [", 1, "YAML"),
    ],
)
def test_a_wrong_use_or_source_is_a_sentence(
    arguments: list[str], typed: str | bytes, code: int, message: str
) -> None:
    result = run(*arguments, typed=typed)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


def test_escape_sequences_of_a_source_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in run("crontab", *ZONE, typed="@reboot \x1b[2J\n").stderr
