"""The statements on ``test_runs``: payloads that a user tries out, without a job.

1. The API stores a run, and sends its id through a queue.
2. A worker claims it, unless it has expired: then the API does not wait for it any more.
3. The worker stores the result. The API polls for it, and removes the row.
4. Rows that the API has not removed are pruned some minutes later.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, text

from chronos_common.domain.executions import JobSpec
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.statuses import Status
from chronos_common.storage.jobs.specs import OF_WORKSPACE, spec_of
from chronos_common.storage.tables import test_runs

#: Lifetime of a row after the end of its run.
KEPT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class TestRun:
    """A payload to be tried out once, now."""

    __test__ = False

    id: UUID
    workspace_id: UUID
    type: str
    payload: Mapping[str, Any]
    timeout_seconds: float


def add(connection: Connection, run: TestRun, *, now: datetime, expires_at: datetime) -> None:
    """Store a run for a worker to claim until ``expires_at``."""
    connection.execute(
        insert(test_runs).values(
            id=run.id,
            workspace_id=run.workspace_id,
            type=run.type,
            payload=dict(run.payload),
            timeout_seconds=run.timeout_seconds,
            status=Status.QUEUED,
            created_at=now,
            expires_at=expires_at,
        )
    )


_CLAIM = text(f"""
    UPDATE test_runs t SET status = 'running'
      FROM workspaces w
     WHERE t.id = :id AND t.status = 'queued' AND t.expires_at > :now AND w.id = t.workspace_id
 RETURNING t.id, t.workspace_id, t.type, CAST(t.payload AS text) AS payload, t.timeout_seconds,
           {OF_WORKSPACE}""")  # noqa: S608 - a constant


def claim(connection: Connection, identifier: UUID, *, now: datetime) -> JobSpec | None:
    """Claim a run and return its spec. None if it has expired or was claimed before."""
    row = connection.execute(_CLAIM, {"id": identifier, "now": now}).mappings().first()
    if row is None:
        return None
    return spec_of({**row, "name": "Test run", "policy": RetryPolicy(max_attempts=1)})


_FINISH = text("""
    UPDATE test_runs SET status = :status, result = CAST(:result AS json)
     WHERE id = :id AND status = 'running'""")


def finish(
    connection: Connection, identifier: UUID, status: Status, result: Mapping[str, Any]
) -> None:
    """Store the result of a claimed run."""
    parameters = {"id": identifier, "status": status, "result": json.dumps(result)}
    connection.execute(_FINISH, parameters)


_TAKE = text("""
    DELETE FROM test_runs WHERE id = :id AND result IS NOT NULL RETURNING result""")


def take_result(connection: Connection, identifier: UUID) -> Mapping[str, Any] | None:
    """Return the result, and remove the run. None if there is no result yet."""
    result: Mapping[str, Any] | None = connection.execute(_TAKE, {"id": identifier}).scalar()
    return result


def remove(connection: Connection, identifier: UUID) -> None:
    """Remove a run. A worker that has not claimed it will not perform it."""
    connection.execute(delete(test_runs).where(test_runs.c.id == identifier))


def prune(connection: Connection, *, now: datetime) -> None:
    """Remove runs whose lifetime is over."""
    connection.execute(delete(test_runs).where(test_runs.c.expires_at < now - KEPT))
