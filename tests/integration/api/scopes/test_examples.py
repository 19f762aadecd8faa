"""The files in docs/examples: a server takes each of them, and once more without a change."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from chronos_client.commands.imports import import_jobs
from integration.api.callers import Caller
from repository import ROOT

EXAMPLES = ROOT / "docs" / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_applied_and_then_changes_nothing(caller: Caller, path: Path) -> None:
    file = yaml.safe_load(path.read_text())
    plan = caller.post("apply", file)
    assert plan.status_code == 200, plan.text
    assert {each["verdict"] for each in plan.json["items"]} == {"create"}
    again = caller.post("apply", file)
    assert {each["verdict"] for each in again.json["items"]} == {"unchanged"}
    secrets = [each for each in caller.get("jobs").json["items"] if "replace-with" in str(each)]
    assert secrets == []


def test_the_crontab_of_forty_lines_becomes_its_file() -> None:
    arguments = ["crontab", str(EXAMPLES / "forty-lines.crontab"), "--scope", "example-crontab"]
    result = CliRunner().invoke(import_jobs, arguments)
    assert result.stdout == (EXAMPLES / "forty-lines.yaml").read_text()
    assert result.exit_code == 1
    assert "34 jobs. 6 entries left out" in result.stderr
