"""The statuses of an execution and of a job, and the moves between them.

| status | set by | left when | if that never happens |
|---|---|---|---|
| queued | plan, trigger, retry coming due | a worker claims it | rescue dispatches it again |
| running | claim | its outcome is recorded | the worker's heartbeat stops: rescue queues it |
| retrying | recorder | ``due_at`` comes: queued | dispatch reads ``due_at`` from PostgreSQL |
| succeeded, failed, cancelled, skipped | recorder, API, plan, claim | final | - |
"""

from enum import StrEnum


class Status(StrEnum):
    """What an execution is doing, or what its fate was."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.SKIPPED})
UNFINISHED = frozenset(Status) - FINAL

#: Where each status may go. Storage makes these moves as compare-and-sets. No product code reads
#: the table: the tests compare every move with it.
MOVES: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED, Status.SKIPPED, Status.FAILED}),
    Status.RUNNING: frozenset(
        {Status.SUCCEEDED, Status.FAILED, Status.RETRYING, Status.CANCELLED, Status.QUEUED}
    ),
    Status.RETRYING: frozenset({Status.QUEUED, Status.CANCELLED}),
    **dict.fromkeys(FINAL, frozenset()),
}


class JobStatus(StrEnum):
    """Whether a job's schedule is followed."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    """Why an execution exists."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    RETRY = "retry"


class Reason(StrEnum):
    """Why an occurrence that was due did not run, or ended without an answer of its target."""

    PAUSED = "paused"
    OVERLAP = "overlap"
    MISFIRE = "misfire"
    CANCELLED = "cancelled"
    DELETED = "deleted"
    RESCHEDULED = "rescheduled"
    EXPIRED = "expired"
    INVALID = "invalid"
    WORKER_LOST = "worker_lost"


class MisfirePolicy(StrEnum):
    """What happens to occurrences that were missed."""

    RUN_LATEST = "run_latest"
    RUN_ALL = "run_all"
    SKIP = "skip"


class OverlapPolicy(StrEnum):
    """What happens when an occurrence is due while an earlier one of its job is unfinished."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE_ONE = "queue_one"
    CANCEL_RUNNING = "cancel_running"


class JobType(StrEnum):
    """What a job's executions do."""

    WEBHOOK = "webhook"
    EMAIL = "email"
    CELERY_TASK = "celery_task"
