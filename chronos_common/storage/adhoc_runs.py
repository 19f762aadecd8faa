"""The statements on ``test_runs``: payloads that somebody tries out, without a job.

1. The API stores a run, and sends its id through a queue.
2. A worker claims it, if it has not expired meanwhile: nobody would wait for its result.
3. The worker stores the result; the API, which has been looking for it, takes it with the row.
4. Rows that nobody took are removed some minutes later.
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
from chronos_common.domain.statuses import OverlapPolicy, Status
from chronos_common.storage.jobs.specs import OF_WORKSPACE, spec_of
from chronos_common.storage.request_tables import test_runs

#: How long a row is kept that nobody took.
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
    """Take a run, and return it as the job that it would be; None if there is nothing to do."""
    row = connection.execute(_CLAIM, {"id": identifier, "now": now}).first()
    if row is None:
        return None
    return spec_of(
        row,
        name="Test run",
        policy=RetryPolicy(max_attempts=1),
        overlap_policy=OverlapPolicy.ALLOW,
    )


_FINISH = text("""
    UPDATE test_runs SET status = :status, result = CAST(:result AS json)
     WHERE id = :id AND status = 'running'""")


def finish(
    connection: Connection, identifier: UUID, status: Status, result: Mapping[str, Any]
) -> None:
    """Store the result of a run that was claimed."""
    parameters = {"id": identifier, "status": status, "result": json.dumps(result)}
    connection.execute(_FINISH, parameters)


_TAKE = text("""
    DELETE FROM test_runs WHERE id = :id AND result IS NOT NULL RETURNING result""")


def take_result(connection: Connection, identifier: UUID) -> Mapping[str, Any] | None:
    """Return the result, if there is one, and remove the run."""
    result: Mapping[str, Any] | None = connection.execute(_TAKE, {"id": identifier}).scalar()
    return result


def remove(connection: Connection, identifier: UUID) -> None:
    """Forget a run; a worker that has not claimed it does not perform it any more."""
    connection.execute(delete(test_runs).where(test_runs.c.id == identifier))


def prune(connection: Connection, *, now: datetime) -> None:
    """Remove runs that nobody waits for."""
    connection.execute(delete(test_runs).where(test_runs.c.expires_at < now - KEPT))
