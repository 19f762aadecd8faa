"""New jobs: stored alone or with others, they are the same rows."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

import factories
from chronos_common import ids
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage.jobs import insert, jobs
from chronos_common.storage.jobs.insert import NewJob
from factories import Workspace


@pytest.mark.parametrize("status", [JobStatus.ACTIVE, JobStatus.PAUSED])
def test_a_job_stored_alone_is_returned_as_it_is_found_and_as_many_are_stored(
    engine: Engine, workspace: Workspace, now: datetime, status: JobStatus
) -> None:
    schedule = Schedule(ScheduleKind.INTERVAL, interval_seconds=60, anchor=now, starts_at=now)
    # Values that differ, so that no column can be taken for another.
    definition = factories.definition(
        schedule, jitter_seconds=7, max_runs=11, timeout_seconds=13, description="What it is for"
    )

    def new() -> NewJob:
        return NewJob(ids.new_id(now), definition, now + timedelta(hours=1), status)

    def found(connection: Connection, job_id: UUID) -> dict[str, Any]:
        row = jobs.find(connection, workspace.id, job_id)
        assert row is not None
        return dict(row)

    of_all = {"workspace_id": workspace.id, "created_by": workspace.owner, "now": now}
    with engine.begin() as connection:
        returned = insert.insert_one(connection, new(), **of_all)
        several = [new(), new()]
        insert.insert_all(connection, several, **of_all)
        assert dict(returned) == found(connection, returned["id"])
        for each in several:
            assert found(connection, each.id) == dict(returned) | {"id": each.id}
    assert returned["active"] is (status is JobStatus.ACTIVE)
    assert (returned["status"], returned["runs_left"]) == (status, 11)
    assert (returned["next_run_at"], returned["created_at"]) == (now + timedelta(hours=1), now)
