"""The sparkline of a job: a bar for each of its latest executions, the latest at the right."""

from typing import Any

from chronos_api.ui import charts


def row(status: str, duration_ms: int | None) -> dict[str, Any]:
    return {"status": status, "duration_ms": duration_ms}


def test_bars_of_one_outcome_are_one_path() -> None:
    latest_first = [row("failed", 1000), row("succeeded", 0), row("succeeded", 1000)]
    succeeded, failed = charts.sparkline(latest_first)
    assert (succeeded.status, succeeded.count) == ("succeeded", 2)
    assert succeeded.path == "M102 24v-24h5v24zM108 24v-4h5v4z"
    assert failed == charts.Bars("failed", "M114 24v-24h5v24z", 1)


def test_a_job_that_never_ran_and_one_that_only_was_skipped_are_drawn() -> None:
    assert charts.sparkline([]) == []
    (skipped,) = charts.sparkline([row("skipped", None)] * 30)
    assert skipped.count == 20
    assert skipped.path.startswith("M0 24v-4")
