"""What the API stores, and what the scheduler would add to it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine, RowMapping, select, text

from chronos_common import clock, ids
from chronos_common.clock import to_milliseconds
from chronos_common.storage.executions import executions as storage
from chronos_common.storage.executions.executions import Planned
from chronos_common.storage.tables import executions, jobs, schedules
from integration.api.callers import Caller

#: Lets bulk changes go on that were held back.
Resting = Callable[[], None]


def stored_job(db: Engine, job_id: str) -> RowMapping:
    with db.connect() as connection:
        query = select(jobs).where(jobs.c.id == job_id)
        return connection.execute(query).mappings().one()


def stored_schedule(db: Engine, job_id: str) -> RowMapping:
    with db.connect() as connection:
        query = select(schedules).where(schedules.c.job_id == job_id)
        return connection.execute(query).mappings().one()


def plan(db: Engine, caller: Caller, job_id: str, instants: Sequence[datetime]) -> list[UUID]:
    """Queue occurrences as the scheduler does."""
    planned = [
        Planned(
            id=ids.occurrence_id(UUID(job_id), instant),
            workspace_id=caller.workspace_id,
            job_id=UUID(job_id),
            queue="webhooks",
            scheduled_for=instant,
            dispatched_at=None,
        )
        for instant in instants
    ]
    with db.begin() as connection:
        storage.add(connection, planned)
    return [each.id for each in planned]


def end(db: Engine, execution_id: UUID, status: str) -> None:
    """End an execution as a worker, or somebody who cancels it, does."""
    with db.begin() as connection:
        connection.execute(
            text(
                "UPDATE executions SET status = :status, reason = 'cancelled', "
                "started_at = now(), finished_at = now() WHERE id = :id"
            ),
            {"id": execution_id, "status": status},
        )


def fates(db: Engine, identifiers: Sequence[UUID]) -> list[tuple[str, str | None]]:
    with db.connect() as connection:
        rows = {
            row.id: (row.status, row.reason)
            for row in connection.execute(
                select(executions).where(executions.c.id.in_(identifiers))
            )
        }
    return [rows[identifier] for identifier in identifiers]


def in_seconds(seconds: float) -> datetime:
    return to_milliseconds(clock.now() + timedelta(seconds=seconds))


def waiting_for_locks(db: Engine) -> int:
    """Return how many transactions wait for a lock."""
    with db.connect() as connection:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        return int(connection.execute(waiting).scalar_one())
