"""Export, diff and apply against the application."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from sqlalchemy import Engine

from chronos_common import clock
from integration.api.callers import Caller
from integration.api.client.conftest import Run
from integration.api.rows import plan

FILE = """\
scope: shop
defaults: {timezone: Europe/Berlin}
jobs:
  - name: a
    schedule_type: cron
    cron_expression: 0 9 * * *
    payload: {url: "https://example.com/a"}
  - name: b
    schedule_type: interval
    interval_seconds: 60
    payload:
      url: https://example.com/b
      headers: {Authorization: !env "Bearer ${TOKEN}"}
"""


CRONTAB = "* * * * * curl -m 5 https://example.com/a\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.yaml"
    path.write_text(FILE)
    return path


def jobs(caller: Caller) -> list[dict[str, Any]]:
    return list(caller.get("jobs", query_string={"sort": "name"}).json["items"])


def test_a_file_is_shown_applied_and_then_the_same(run: Run, caller: Caller, file: Path) -> None:
    shown = run("apply", str(file), "--dry-run", TOKEN="t")
    assert "+ a: create\n+ b: create\nScope shop: 2 create\n" in shown.stdout
    assert run("diff", str(file), TOKEN="t").exit_code == 1
    assert jobs(caller) == []
    unasked = run("apply", str(file), TOKEN="t")
    assert (unasked.exit_code, jobs(caller)) == (2, [])
    assert "Say so with --yes" in unasked.stderr
    assert run("apply", str(file), "--yes", TOKEN="t").exit_code == 0
    assert [each["scope_key"] for each in jobs(caller)] == ["a", "b"]
    same = run("diff", str(file), TOKEN="t")
    assert (same.exit_code, same.stdout) == (0, "Scope shop: 2 unchanged\n")
    again = run("apply", str(file), TOKEN="t")
    assert (again.exit_code, again.stderr) == (0, "Nothing to change.\n")


def test_a_change_elsewhere_is_told_and_refused(run: Run, caller: Caller, file: Path) -> None:
    run("apply", str(file), "--yes", TOKEN="t")
    caller.patch(f"jobs/{jobs(caller)[0]['id']}", {"cron_expression": "0 7 * * *"})
    refused = run("apply", str(file), "--yes", TOKEN="t")
    assert refused.exit_code == 4
    assert "! a: drift" in refused.stdout
    assert f"changed elsewhere by {caller.user_id}@example.com" in refused.stdout
    assert 'cron_expression: "0 7 * * *" -> "0 9 * * *"' in refused.stdout
    assert "on_drift" in refused.stderr
    assert run("apply", str(file), "--yes", "--on-drift", "overwrite", TOKEN="t").exit_code == 0
    assert jobs(caller)[0]["cron_expression"] == "0 9 * * *"


def test_every_error_has_its_line_and_column(run: Run, file: Path) -> None:
    file.write_text(FILE.replace("0 9 * * *", "never").replace("interval_seconds", "interval"))
    refused = run("apply", str(file), "--yes", TOKEN="t")
    assert refused.exit_code == 2
    lines = [line for line in refused.stderr.splitlines() if "jobs.yaml" in line]
    assert ["jobs.yaml:6:22" in lines[0], "jobs.yaml:8:5" in lines[1]] == [True, True]
    assert "jobs.yaml:10:15: job 'b': interval: Unknown field" in refused.stderr


def test_an_empty_file_is_refused(run: Run, caller: Caller, file: Path) -> None:
    run("apply", str(file), "--yes", TOKEN="t")
    file.write_text("scope: shop\njobs: []\n")
    refused = run("apply", str(file), "--yes", "--prune")
    assert (refused.exit_code, len(jobs(caller))) == (2, 2)
    assert "jobs.yaml:2:7" in refused.stderr


def test_an_export_that_is_applied_changes_nothing(run: Run, caller: Caller, file: Path) -> None:
    secret = {"url": "https://example.com/x", "headers": {"X-Token": "hush"}}
    caller.create(name="twice", payload=secret, tags=["x"], max_attempts=1)
    paused = caller.create(name="twice", notify=[], retry_delays=[], backoff_factor=3)
    caller.post(f"jobs/{paused['id']}/pause")
    run("apply", str(file), "--yes", TOKEN="t")
    before = jobs(caller)
    exported = run("export", "--scope", "shop")
    assert exported.exit_code == 0, exported.stderr
    assert exported.stdout.startswith("# yaml-language-server: $schema=chronos.schema.json\n")
    assert "hush" not in exported.stdout
    written = yaml.safe_load(exported.stdout)["jobs"]
    assert [each.get("key") for each in written] == ["twice", "twice 2", None, None]
    assert [each.get("status") for each in written] == [None, "paused", None, None]
    file.write_text(exported.stdout)
    plan = json.loads(run("apply", str(file), "--yes", "-o", "json").stdout)
    assert [each["verdict"] for each in plan["items"]] == [
        "adopt",
        "adopt",
        "unchanged",
        "unchanged",
    ]
    assert not any(each["differences"] for each in plan["items"])
    marks = {"scope", "scope_key", "version", "updated_at", "next_run_at"}
    after = [{k: v for k, v in each.items() if k not in marks} for each in jobs(caller)]
    assert after == [{k: v for k, v in each.items() if k not in marks} for each in before]
    assert run("diff", str(file)).exit_code == 0


def test_the_schema_accepts_a_file_and_refuses_another(run: Run) -> None:
    schema = json.loads(run("schema").stdout)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    document = yaml.safe_load(FILE.replace("!env ", ""))
    assert list(validator.iter_errors(document)) == []
    document["jobs"][0]["cron"] = "x"
    assert len(list(validator.iter_errors(document))) == 1


def test_imported_jobs_are_compared_with_the_log_of_cron(
    run: Run, caller: Caller, db: Engine, tmp_path: Path
) -> None:
    table, file, log = tmp_path / "crontab", tmp_path / "jobs.yaml", tmp_path / "log"
    table.write_text(CRONTAB)
    file.write_text(run("import", "crontab", str(table), "--shadow").stdout)
    assert run("apply", str(file), "--yes").exit_code == 0
    (made,) = jobs(caller)
    assert made["shadow"] is True
    begin = clock.now().replace(second=0, microsecond=0)
    instants = [begin + timedelta(minutes=number) for number in range(5)]
    plan(db, caller, made["id"], instants)
    log.write_text("".join(map(started, instants)))
    same = run("compare", str(table), str(log))
    assert (same.exit_code, same.stdout.split()[-5:-2]) == (0, ["example.com/a", "3", "3"])
    assert "1 command" in same.stderr
    log.write_text("".join(map(started, [*instants[:2], *instants[3:]])))
    differing = run("compare", str(table), str(log), "-o", "json")
    assert differing.exit_code == 1
    (found,) = json.loads(differing.stdout)
    assert found["only_recorded"] == [instants[2].isoformat()]
    empty = run("compare", str(table), "-", typed=started(instants[0]))
    assert (empty.exit_code, "Nothing to compare" in empty.stderr) == (3, True)


def started(at: datetime) -> str:
    command = CRONTAB.split(maxsplit=5)[5].strip()
    return f"{at.isoformat()} host CRON[12]: (root) CMD ({command})\n"
