"""Deleted jobs are listed and come back. Their changes stay readable."""

import pytest
from sqlalchemy import Engine, update

from chronos_common import clock
from chronos_common.storage.tables import audit_log, jobs, schedules, workspace_quotas
from integration.api.callers import Caller, errors_of
from integration.api.rows import in_seconds, stored_schedule


def uses(caller: Caller, db: Engine) -> dict[str, int]:
    query = workspace_quotas.select().where(workspace_quotas.c.workspace_id == caller.workspace_id)
    with db.connect() as connection:
        held = {row.quota: row.used for row in connection.execute(query)}
    # What changes wrote today is never given back.
    held.pop("change_bytes", None)
    return held


@pytest.mark.parametrize("status", ["active", "paused"])
def test_a_deleted_job_comes_back_as_it_was(caller: Caller, db: Engine, status: str) -> None:
    made = caller.create(tags=["mail"])
    before = uses(caller, db)
    caller.delete(f"jobs/{made['id']}")
    [listed] = caller.get("jobs/deleted").json["items"]
    assert (listed["id"], listed["name"], listed["tags"]) == (made["id"], "Ping", ["mail"])
    # It has been away for a day. Nothing of that time is made up for.
    with db.begin() as connection:
        connection.execute(
            update(schedules)
            .where(schedules.c.job_id == made["id"])
            .values(next_run_at=in_seconds(-86_400))
        )
    answer = caller.post(f"jobs/{made['id']}/restore", {"status": status})
    restored = answer.json
    assert (answer.status_code, restored["status"]) == (200, status)
    assert restored["payload"] == made["payload"]
    assert restored["version"] == made["version"] + 1
    assert stored_schedule(db, made["id"])["next_run_at"] > clock.now()
    assert stored_schedule(db, made["id"])["active"] is (status == "active")
    if status == "active":
        assert restored["next_runs"] == made["next_runs"]
        assert uses(caller, db) == before
    else:
        assert restored["pause_note"] == "Restored after it was deleted"
    assert caller.get("jobs/deleted").json["total"] == 0
    assert caller.get("jobs").json["total"] == 1
    assert caller.post(f"jobs/{made['id']}/restore").status_code == 409


def test_a_job_comes_back_paused_unless_asked_and_completed_if_it_is_over(
    caller: Caller, db: Engine
) -> None:
    first, over = caller.create(), caller.create(max_runs=1)
    with db.begin() as connection:
        where = schedules.c.job_id == over["id"]
        connection.execute(update(schedules).where(where).values(runs_left=0))
    for job in (first, over):
        caller.delete(f"jobs/{job['id']}")
    assert caller.post(f"jobs/{first['id']}/restore").json["status"] == "paused"
    body = {"status": "active"}
    assert caller.post(f"jobs/{over['id']}/restore", body).json["status"] == "completed"
    refused = caller.post(f"jobs/{over['id']}/restore", {"status": "completed"})
    assert "status" in errors_of(refused)


def test_deleted_jobs_are_those_of_the_workspace(caller: Caller, stranger: Caller) -> None:
    made = caller.create()
    caller.delete(f"jobs/{made['id']}")
    assert stranger.get("jobs/deleted").json["items"] == []
    assert stranger.post(f"jobs/{made['id']}/restore").status_code == 404
    assert stranger.get(f"jobs/{made['id']}/changes").status_code == 404


def test_the_time_in_which_a_job_was_deleted_is_explained(caller: Caller, db: Engine) -> None:
    made = caller.create(cron_expression="* * * * * *")
    with db.begin() as connection:
        where = jobs.c.id == made["id"]
        connection.execute(update(jobs).where(where).values(created_at=in_seconds(-60)))
    caller.delete(f"jobs/{made['id']}")
    with db.begin() as connection:
        where = (audit_log.c.subject_id == made["id"]) & (audit_log.c.action == "job.delete")
        connection.execute(update(audit_log).where(where).values(at=in_seconds(-30)))
    caller.post(f"jobs/{made['id']}/restore", {"status": "active"})
    at = clock.rfc3339(in_seconds(-20))
    found = caller.get(f"jobs/{made['id']}/why", query_string={"at": at}).json
    assert found["verdict"] == "deleted"
    assert f"by {caller.user_id}@example.com" in found["explanation"]


def test_a_viewer_reads_the_changes_of_a_job(caller: Caller, db: Engine) -> None:
    made = caller.create()
    caller.patch(f"jobs/{made['id']}", {"name": "Renamed"})
    caller.delete(f"jobs/{made['id']}")
    caller.create()
    viewer = caller.me_in("viewer", db)
    assert viewer.get("audit").status_code == 403
    found = viewer.get(f"jobs/{made['id']}/changes?limit=2").json
    assert [each["action"] for each in found["items"]] == ["job.delete", "job.update"]
    assert found["items"][1]["details"]["after"]["name"] == "Renamed"
    rest = viewer.get(f"jobs/{made['id']}/changes?cursor={found['next_cursor']}").json
    assert [each["action"] for each in rest["items"]] == ["job.create"]


def test_tags_are_counted(caller: Caller) -> None:
    caller.create(tags=["Mail", "night"])
    caller.create(tags=["night"])
    deleted = caller.create(tags=["night", "gone"])
    caller.delete(f"jobs/{deleted['id']}")
    found = caller.get("tags").json
    assert found == {
        "items": [{"tag": "night", "jobs": 2}, {"tag": "Mail", "jobs": 1}],
        "is_exact": True,
    }
    assert [each["tag"] for each in caller.get("tags?prefix=ma").json["items"]] == ["Mail"]
    assert len(caller.get("tags?limit=1").json["items"]) == 1
    assert "limit" in errors_of(caller.get("tags?limit=0"))
