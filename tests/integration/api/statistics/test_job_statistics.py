"""The figures of one job, over its latest executions."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from chronos_common import clock
from chronos_common.storage.executions import history
from integration.api.callers import Caller
from integration.api.rows import in_seconds, plan

_END = text(
    "UPDATE executions SET status = :status, finished_at = now(), started_at = now(),"
    " duration_ms = :duration_ms, http_status = 200 WHERE id = :id"
)


def run(db: Engine, caller: Caller, job_id: str, durations: list[int], failed: int) -> list[str]:
    """Store executions of the past, the first ``failed`` of them failed."""
    instants = [in_seconds(number - 10_000) for number in range(len(durations))]
    identifiers: list[UUID] = plan(db, caller, job_id, instants)
    with db.begin() as connection:
        for number, (identifier, duration) in enumerate(zip(identifiers, durations, strict=True)):
            status = "failed" if number < failed else "succeeded"
            values = {"status": status, "duration_ms": duration, "id": identifier}
            connection.execute(_END, values)
    return [str(each) for each in identifiers]


def test_the_figures_are_those_of_the_latest_executions(caller: Caller, db: Engine) -> None:
    job = caller.create()
    other = caller.create()
    run(db, caller, other["id"], [9999] * 3, 3)
    ended = run(db, caller, job["id"], list(range(1, 41)), 10)
    plan(db, caller, job["id"], [clock.now() + timedelta(days=1)])
    found = caller.get(f"jobs/{job['id']}/statistics").json
    assert found["considered"] == 41
    assert found["executions"]["failed"] == 10
    assert (found["executions"]["succeeded"], found["executions"]["queued"]) == (30, 1)
    assert found["success_rate"] == 0.75
    assert found["average_duration_ms"] == 20.5
    assert found["p95_duration_ms"] == 38
    assert found["latest"][0]["status"] == "queued"
    assert [each["id"] for each in found["latest"][1:]] == ended[:-20:-1]
    assert found["next_runs"] == job["next_runs"]
    few = caller.get(f"jobs/{job['id']}/statistics?limit=11").json
    assert (few["considered"], few["success_rate"], few["average_duration_ms"]) == (11, 1, 35.5)
    assert few["since"] == few["latest"][-1]["scheduled_for"]


def test_a_job_that_never_ran_has_no_figures(caller: Caller) -> None:
    found = caller.get(f"jobs/{caller.create()['id']}/statistics").json
    assert (found["considered"], found["latest"], found["since"]) == (0, [], None)
    assert (
        found["success_rate"] is found["average_duration_ms"] is found["p95_duration_ms"] is None
    )


@pytest.mark.parametrize("limit", ["0", "501", "x"])
def test_how_many_are_considered_is_bounded(caller: Caller, limit: str) -> None:
    path = f"jobs/{caller.create()['id']}/statistics?limit={limit}"
    assert caller.get(path).status_code == 422


def test_the_history_is_entered_through_the_index(caller: Caller, db: Engine) -> None:
    job = caller.create()
    parameters = {"job_id": job["id"], "limit": 100}
    with db.begin() as connection:
        # For a few rows the planner may prefer another way.
        for other in ("seqscan", "bitmapscan", "sort"):
            connection.exec_driver_sql(f"SET LOCAL enable_{other} = off")
        [[planned]] = connection.execute(
            text(f"EXPLAIN (FORMAT JSON) {history._RECENT_OF_JOB.text}"), parameters
        ).all()
    assert all(name.endswith("job_id_id_idx") for name in indexes(planned[0]["Plan"])), planned
    assert "Sort" not in {node["Node Type"] for node in nodes(planned[0]["Plan"])}


def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(each for inner in node.get("Plans", ()) for each in nodes(inner))]


def indexes(node: dict[str, Any]) -> list[str]:
    found = [each["Index Name"] for each in nodes(node) if "Index Name" in each]
    assert found
    return found
