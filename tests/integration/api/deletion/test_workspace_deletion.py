"""Workspaces: deleted, at rest at once, restored or purged, and nothing of them left."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, Table, func, select, text, update

from chronos_common import clock, ids
from chronos_common.storage.accounts import deletions
from chronos_common.storage.tables import executions, metadata, workspaces
from chronos_scheduler.prune import Purger
from integration.api.callers import Caller, job, join
from integration.api.rows import fates, in_seconds, plan, stored_job, stored_schedule

PASSWORD = "SecurePass123!"


@pytest.fixture
def owner(nobody: Caller) -> Caller:
    """The owner of a workspace called "Mine", with a password."""
    email = f"{uuid4()}@example.com"
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    made = Caller(nobody.app, answer.json["access_token"], UUID(answer.json["user"]["id"]))
    made.workspace_id = UUID(made.patch("workspace", {"name": "Mine"}).json["id"])
    return made


def delete(owner: Caller, **changes: str) -> int:
    body = {"name": "Mine", "current_password": PASSWORD} | changes
    return owner.post("workspace/delete", body).status_code


def purge(db: Engine, workspace_id: UUID, *, after: timedelta = timedelta(days=8)) -> None:
    """Run the scheduler's chore as if the deletion was so long ago."""
    with db.begin() as connection:
        connection.execute(
            update(workspaces)
            .where(workspaces.c.id == workspace_id)
            .values(purge_at=workspaces.c.purge_at - after)
        )
    while Purger(db).tick():
        pass


def rows_of(db: Engine, table: Table, workspace_id: UUID) -> int:
    query = select(func.count()).select_from(table).where(table.c.workspace_id == workspace_id)
    with db.connect() as connection:
        return int(connection.execute(query).scalar_one())


def is_left(db: Engine, workspace_id: UUID) -> bool:
    with db.connect() as connection:
        query = select(workspaces.c.id).where(workspaces.c.id == workspace_id)
        return connection.execute(query).first() is not None


def test_a_deletion_needs_the_password_and_the_name(owner: Caller) -> None:
    assert delete(owner, current_password="wrong") == 401
    refused = owner.post("workspace/delete", {"name": "Yours", "current_password": PASSWORD})
    assert refused.status_code == 409
    assert "'Mine'" in refused.json["detail"]
    assert owner.get("workspace").status_code == 200
    assert delete(owner) == 200


def test_a_deleted_workspace_is_closed_to_members_and_keys_at_once(
    owner: Caller, db: Engine
) -> None:
    member = join(owner.app, db, owner.workspace_id, "editor")
    key = owner.post("keys", {"name": "CI", "scopes": ["jobs:read"]}).json["key"]
    by_key = Caller(owner.app, key)
    assert (member.get("jobs").status_code, by_key.get("jobs").status_code) == (200, 200)
    assert delete(owner) == 200
    workspace = {"X-Workspace": str(owner.workspace_id)}
    assert [each.get("jobs", headers=workspace).status_code for each in (owner, member)] == [
        404,
        404,
    ]
    assert member.get("jobs").status_code == 403
    assert by_key.get("jobs").status_code == 401
    [shown] = member.get("workspaces").json["items"]
    assert shown["purge_at"] is not None


def test_jobs_stop_at_once_and_executions_under_way_end_as_usual(
    owner: Caller, db: Engine
) -> None:
    job_id = owner.create(schedule_type="interval", interval_seconds=5, cron_expression=...)["id"]
    queued, running = plan(db, owner, job_id, [in_seconds(-2), in_seconds(-1)])
    with db.begin() as connection:
        connection.execute(
            text("UPDATE executions SET status = 'running', worker_id = :worker,"
                 " claimed_at = now(), started_at = now() WHERE id = :id"),
            {"id": running, "worker": uuid4()},
        )  # fmt: skip
    assert delete(owner) == 200
    assert stored_schedule(db, job_id)["active"] is False
    assert stored_job(db, job_id)["status"] == "paused"
    assert fates(db, [queued, running]) == [("cancelled", "deleted"), ("running", None)]

    purge(db, owner.workspace_id)
    assert fates(db, [running]) == [("running", None)]
    with db.begin() as connection:
        connection.execute(
            update(executions)
            .where(executions.c.id == running)
            .values(status="succeeded", finished_at=clock.now())
        )
    purge(db, owner.workspace_id)
    assert not is_left(db, owner.workspace_id)


def test_more_jobs_than_a_batch_stop_and_are_purged(
    owner: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronos_api.deletion.workspaces.BATCH", 2)
    monkeypatch.setattr("chronos_scheduler.prune.BATCH", 2)
    made = owner.post("jobs/bulk", {"jobs": [job(name=f"Job {n}") for n in range(5)]})
    assert made.status_code == 201, made.text
    assert delete(owner) == 200
    with db.connect() as connection:
        left = deletions.stop(connection, owner.workspace_id, batch=9, now=clock.now())
    assert left == (0, [])
    purge(db, owner.workspace_id)
    assert not is_left(db, owner.workspace_id)


def test_what_the_api_could_not_stop_is_stopped_by_the_scheduler(
    owner: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronos_api.deletion.workspaces.stop", lambda *_: None)
    job_id = owner.create()["id"]
    assert delete(owner) == 200
    assert stored_schedule(db, job_id)["active"] is True
    while Purger(db).tick():
        pass
    assert stored_schedule(db, job_id)["active"] is False
    assert is_left(db, owner.workspace_id)


def test_an_owner_restores_a_workspace_with_its_jobs_paused(owner: Caller, db: Engine) -> None:
    member = join(owner.app, db, owner.workspace_id, "editor")
    job_id = owner.create()["id"]
    assert delete(owner) == 200
    place = f"workspaces/{owner.workspace_id}/restore"
    assert member.post(place).status_code == 403
    restored = owner.post(place)
    assert (restored.status_code, restored.json["purge_at"]) == (200, None)
    assert owner.post(place).status_code == 404
    assert owner.get(f"jobs/{job_id}").json["status"] == "paused"
    assert owner.post(f"jobs/{job_id}/resume").json["status"] == "active"
    actions = [each["action"] for each in owner.get("audit").json["items"]]
    assert {"workspace.delete", "workspace.restore"} <= set(actions)


def test_nobody_restores_what_is_not_theirs_or_is_over(
    owner: Caller, stranger: Caller, db: Engine
) -> None:
    place = f"workspaces/{owner.workspace_id}/restore"
    assert delete(owner) == 200
    assert stranger.post(place).status_code == 404
    with db.begin() as connection:
        deletions.mark(connection, owner.workspace_id, purge_at=clock.now())
    assert owner.post(place).status_code == 404


def test_nobody_joins_a_deleted_workspace(owner: Caller, stranger: Caller, db: Engine) -> None:
    token, now = "an invitation's token", clock.now()
    with db.begin() as connection:
        connection.execute(
            text("INSERT INTO invitations (id, workspace_id, email, role, token_sha256,"
                 " created_at, expires_at) VALUES (:id, :workspace_id, :email, 'viewer',"
                 " encode(sha256(convert_to(:token, 'UTF8')), 'hex'), :now, :until)"),
            {
                "id": ids.new_id(now),
                "workspace_id": owner.workspace_id,
                "email": f"{stranger.user_id}@example.com",
                "token": token,
                "now": now,
                "until": now + timedelta(days=1),
            },
        )  # fmt: skip
    assert delete(owner) == 200
    assert stranger.post("invitations/accept", {"token": token}).status_code == 404


#: Rows that no request makes, by their tables.
_OTHER_ROWS = {
    "device_logins": """
        INSERT INTO device_logins (id, workspace_id, device_sha256, user_code, name, scopes,
                                   decision, interval_seconds, created_at, expires_at)
        VALUES (:id, :workspace_id, CAST(:id AS text), CAST(:id AS text), 'CLI', '{}', 'pending',
                5, now(), now())""",
    "notifications": """
        INSERT INTO notifications (id, workspace_id, job_id, execution_id, recipients,
                                   created_at, due_at, attempts)
        VALUES (:id, :workspace_id, :id, :id, '{}', now(), now(), 0)""",
    "execution_stats": """
        INSERT INTO execution_stats VALUES (:workspace_id, now(), 'failed', 1, 1, 1, 1, '{}')""",
    "execution_stats_hourly": """
        INSERT INTO execution_stats_hourly
        VALUES (:workspace_id, now(), 'failed', 1, 1, 1, 1, '{}')""",
    "replays": """
        INSERT INTO replays (id, workspace_id, created_at, filter, as_of, rate_per_second,
                             oldest_first, matched, matched_is_exact, state, next_at,
                             resumed_at, updated_at)
        VALUES (:id, :workspace_id, now(), '{}', now(), 1, true, 1, true, 'running', now(),
                now(), now())""",
    "bulk_changes": """
        INSERT INTO bulk_changes (id, workspace_id, created_by, created_at, action, options,
                                  job_ids, matched, handled, results, reasons, sample, state,
                                  next_at, updated_at)
        VALUES (:id, :workspace_id, :id, now(), 'pause', '{}', '{}', 0, 0, '{}', '{}', '[]',
                'running', now(), now())""",
    "test_runs": """
        INSERT INTO test_runs (id, workspace_id, type, payload, timeout_seconds, status,
                               created_at, expires_at)
        VALUES (:id, :workspace_id, 'webhook', '{}', 1, 'queued', now(), now())""",
    "workspace_quotas": """
        INSERT INTO workspace_quotas (workspace_id, quota) VALUES (:workspace_id, 'test')""",
}


def test_nothing_of_a_purged_workspace_is_left_in_any_table(owner: Caller, db: Engine) -> None:
    job_id = owner.create()["id"]
    owner.delete(f"jobs/{owner.create()['id']}")
    owner.post(f"jobs/{job_id}/execute", headers={"Idempotency-Key": "once"})
    owner.post("invitations", {"email": "colleague@example.com", "role": "viewer"})
    owner.post("keys", {"name": "CI", "scopes": ["jobs:read"]})
    with db.begin() as connection:
        for statement in _OTHER_ROWS.values():
            parameters = {"id": uuid4(), "workspace_id": owner.workspace_id}
            connection.execute(text(statement), parameters)
    tables = [table for table in metadata.sorted_tables if "workspace_id" in table.c]
    without_rows = [table.name for table in tables if not rows_of(db, table, owner.workspace_id)]
    assert without_rows == [], "add a row of the workspace to each, so that its purge is seen"

    assert delete(owner) == 200
    purge(db, owner.workspace_id)
    assert not is_left(db, owner.workspace_id)
    left = {table.name: rows_of(db, table, owner.workspace_id) for table in tables}
    assert left == dict.fromkeys(left, 0)
