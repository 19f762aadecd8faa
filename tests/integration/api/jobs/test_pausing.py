"""Pause and resume, and changes beside a plan that is under way."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select, update

import factories
from chronos_common import clock, ids
from chronos_common.domain.statuses import Trigger
from chronos_common.storage.tables import execution_stats, executions, schedules
from integration.api.callers import Caller
from integration.api.rows import fates, in_seconds, plan, stored_schedule
from rigs import wait_until


def test_pausing_cancels_what_has_not_started(caller: Caller, db: Engine) -> None:
    made = caller.create()
    planned = plan(db, caller, made["id"], [in_seconds(-2), in_seconds(-1), in_seconds(1)])
    with db.begin() as connection:
        factories.claim(
            connection, planned[:1], worker_id=ids.new_id(clock.now()), now=clock.now()
        )
    paused = caller.post(f"jobs/{made['id']}/pause")
    assert (paused.json["status"], paused.json["next_run_at"]) == ("paused", None)
    cancelled = ("cancelled", "paused")
    assert fates(db, planned) == [("running", None), cancelled, cancelled]
    assert not stored_schedule(db, made["id"])["active"]
    with db.connect() as connection:
        query = select(execution_stats).where(
            execution_stats.c.workspace_id == caller.workspace_id
        )
        counted = {row.status: row.executions for row in connection.execute(query)}
    assert counted == {"cancelled": 2}


KEPT = None
#: What an action makes of an execution in each status, whatever triggered it: docs/jobs.md.
ACTIONS = {
    "pause": {"queued": "paused", "retrying": "paused", "running": KEPT},
    "delete": {"queued": "deleted", "retrying": "deleted", "running": KEPT},
    "cancel": {"queued": "cancelled", "retrying": "cancelled", "running": "cancelled"},
    "resume": {"queued": KEPT, "retrying": KEPT, "running": KEPT},
}


@pytest.mark.parametrize("trigger", Trigger)
@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_moves_executions_by_their_status(
    caller: Caller, db: Engine, action: str, trigger: Trigger
) -> None:
    job_id = caller.create()["id"]
    statuses = list(ACTIONS[action])
    found = plan(db, caller, job_id, [in_seconds(-number) for number in range(len(statuses))])
    with db.begin() as connection:
        for execution_id, status in zip(found, statuses, strict=True):
            connection.execute(
                update(executions)
                .where(executions.c.id == execution_id)
                .values(status=status, trigger=trigger, worker_id=ids.new_id(clock.now()))
            )
    match action:
        case "delete":
            answers = [caller.delete(f"jobs/{job_id}")]
        case "cancel":
            answers = [caller.post(f"executions/{each}/cancel") for each in found]
        case _:
            answers = [caller.post(f"jobs/{job_id}/{action}")]
    assert all(each.status_code < 300 for each in answers)
    expected = [
        (status, None) if reason is KEPT else ("cancelled", reason)
        for status, reason in ACTIONS[action].items()
    ]
    assert fates(db, found) == expected


def test_pausing_and_resuming_can_be_repeated(caller: Caller, db: Engine) -> None:
    made = caller.create()
    assert caller.post(f"jobs/{made['id']}/resume").json == made
    first = caller.post(f"jobs/{made['id']}/pause")
    second = caller.post(f"jobs/{made['id']}/pause")
    assert (second.status_code, second.json) == (200, first.json)
    assert stored_schedule(db, made["id"])["resumed_at"] is None
    resumed = caller.post(f"jobs/{made['id']}/resume").json
    assert (resumed["status"], resumed["next_runs"]) == ("active", made["next_runs"])
    resumed_at = stored_schedule(db, made["id"])["resumed_at"]
    assert resumed_at is not None
    # What was missed before still was missed because of the pause, whatever else changes.
    caller.patch(f"jobs/{made['id']}", {"name": "Other"})
    assert stored_schedule(db, made["id"])["resumed_at"] == resumed_at


def test_a_resumed_job_shows_the_next_instant_to_come(caller: Caller, db: Engine) -> None:
    made = caller.create(schedule_type="interval", interval_seconds=60, cron_expression=...)
    caller.post(f"jobs/{made['id']}/pause")
    missed = in_seconds(-600)
    with db.begin() as connection:
        connection.execute(
            schedules.update()
            .where(schedules.c.job_id == made["id"])
            .values(next_run_at=missed, anchor=missed)
        )
    resumed = caller.post(f"jobs/{made['id']}/resume").json
    assert datetime.fromisoformat(resumed["next_run_at"]) >= clock.now() - timedelta(seconds=1)
    # The scheduler decides about missed occurrences.
    assert stored_schedule(db, made["id"])["next_run_at"] == missed


def somebody_waits_for_a_lock(db: Engine) -> bool:
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with db.connect() as connection:
        return bool(connection.exec_driver_sql(query).scalar_one())


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"status": "paused"}, "paused"), ({"cron_expression": "1 1 1 1 *"}, "rescheduled")],
)
def test_a_change_sees_what_a_plan_under_way_adds(
    caller: Caller, db: Engine, change: dict[str, str], reason: str
) -> None:
    made = caller.create()
    with ThreadPoolExecutor(1) as threads:
        with db.begin() as planning:
            planning.execute(
                select(schedules).where(schedules.c.job_id == made["id"]).with_for_update()
            )
            answer = threads.submit(caller.patch, f"jobs/{made['id']}", change)
            wait_until(lambda: somebody_waits_for_a_lock(db), within=5)
            planned = plan(db, caller, made["id"], [in_seconds(60)])
        assert answer.result(timeout=10).status_code == 200
    assert fates(db, planned) == [("cancelled", reason)]
