"""Rows for tests: a workspace with its owner, and jobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping, select, text

from chronos_common import ids
from chronos_common.domain import queues
from chronos_common.domain.executions import Claimed, Moved
from chronos_common.domain.jobs import JobDefinition
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage.accounts import users
from chronos_common.storage.executions import claims
from chronos_common.storage.executions import executions as executions_storage
from chronos_common.storage.jobs import insert
from chronos_common.storage.jobs.insert import NewJob
from chronos_common.storage.jobs.specs import Specs
from chronos_common.storage.outbox import failure_emails
from chronos_common.storage.tables import executions
from chronos_common.storage.tables import jobs as jobs_table

OWNER_EMAIL = "owner@example.com"
SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


#: The fixture ``a_job``: stores a job with these fields and returns its id.
StoreJob = Callable[..., UUID]


@dataclass(frozen=True)
class Workspace:
    """A workspace and the user who owns it."""

    id: UUID
    owner: UUID


def workspace(connection: Connection, *, now: datetime, email: str = OWNER_EMAIL) -> Workspace:
    """Store a workspace with one owner."""
    made = Workspace(ids.new_id(now), ids.new_id(now))
    users.insert_user(connection, made.owner, email=email, password_hash="-", now=now)
    users.insert_workspace(
        connection, made.id, name="Test", signing_secret=SIGNING_SECRET, now=now
    )
    users.insert_membership(
        connection, workspace_id=made.id, user_id=made.owner, role="owner", now=now
    )
    return made


def every(seconds: int, *, anchor: datetime) -> Schedule:
    """Return the schedule of every ``seconds`` seconds from ``anchor``."""
    return Schedule(kind=ScheduleKind.INTERVAL, interval_seconds=seconds, anchor=anchor)


def definition(schedule: Schedule, **changes: Any) -> JobDefinition:
    """Return a webhook job, with ``changes`` to its fields."""
    plain = JobDefinition(
        name="Ping",
        payload={"url": "http://127.0.0.1:9/"},
        policy=RetryPolicy(max_attempts=3, retry_delays=(1.0,)),
        timeout_seconds=5.0,
        schedule=schedule,
    )
    return replace(plain, **changes)


def job(
    connection: Connection,
    owner: Workspace,
    schedule: Schedule,
    *,
    now: datetime,
    next_run_at: datetime | None = None,
    **changes: Any,
) -> UUID:
    """Store a job that is next due at ``next_run_at``, by default the schedule's first."""
    job_id = ids.new_id(now)
    made = definition(schedule, **changes)
    new = NewJob(job_id, made, next_run_at or schedule.first_at_or_after(now))
    insert.insert_one(connection, new, workspace_id=owner.id, created_by=owner.owner, now=now)
    return job_id


def trigger(
    connection: Connection, *, workspace_id: UUID, job_id: UUID, queue: str, now: datetime
) -> UUID:
    """Queue an execution that a user asked for, due now."""
    return executions_storage.trigger(connection, workspace_id, {job_id: queue}, now=now)[job_id]


def fail(
    connection: Connection,
    owner: Workspace,
    job_id: UUID,
    *,
    now: datetime,
    times: int = 1,
    error: str = "Lost.",
) -> list[Moved]:
    """Let executions of a job fail for good, and queue the e-mails about it."""
    triggered = [
        trigger(connection, workspace_id=owner.id, job_id=job_id, queue=queues.WEBHOOKS, now=now)
        for _ in range(times)
    ]
    failed = executions_storage.end(
        connection,
        triggered,
        status=Status.FAILED,
        reason=Reason.WORKER_LOST,
        error=error,
        now=now,
    )
    failure_emails.enqueue(connection, failed, now=now)
    return failed


def executions_of(engine: Engine, job_id: UUID) -> list[RowMapping]:
    """Return all of the job's executions, in the order of their ids."""
    query = select(executions).where(executions.c.job_id == job_id).order_by(executions.c.id)
    with engine.connect() as connection:
        return list(connection.execute(query).mappings())


def job_status(engine: Engine, job_id: UUID) -> str:
    """Return the job's status."""
    with engine.connect() as connection:
        query = select(jobs_table.c.status).where(jobs_table.c.id == job_id)
        return str(connection.execute(query).scalar_one())


def worker(connection: Connection, *, now: datetime, silent_for: timedelta = timedelta(0)) -> UUID:
    """Store a worker process that gave its last sign ``silent_for`` ago."""
    worker_id = ids.new_id(now)
    connection.execute(
        text(
            "INSERT INTO workers (id, kind, hostname, pid, version, started_at, heartbeat_at,"
            " in_flight) VALUES (:id, 'worker', 'test', 1, '0', :at, :at, 0)"
        ),
        {"id": worker_id, "at": now - silent_for},
    )
    return worker_id


def claim(
    connection: Connection, identifiers: Sequence[UUID], *, worker_id: UUID, now: datetime
) -> list[Claimed]:
    """Claim webhooks as a worker does that has just read their jobs."""
    specs = Specs().of(connection, identifiers)
    return claims.claim(
        connection,
        identifiers,
        worker_id=worker_id,
        now=now,
        queue=queues.WEBHOOKS,
        job_ids=list(specs),
    )
