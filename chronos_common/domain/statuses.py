"""The statuses of an execution and of a job, and the moves between them.

| status | set by | left when | if that never happens |
|---|---|---|---|
| queued | plan, trigger, retry coming due | a worker claims it | rescue dispatches it again |
| running | claim | its outcome is recorded | the worker's heartbeat stops: rescue queues it |
| retrying | recorder | ``due_at`` comes: queued | dispatch reads ``due_at`` from PostgreSQL |
| succeeded, failed, cancelled, skipped | recorder, API, plan, claim | final | - |
"""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """The state of an execution."""

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


class Resolution(StrEnum):
    """How a failure was dealt with, so that it is no open one any more."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"


class Reason(StrEnum):
    """Why an occurrence that was due did not run, or ended without an answer of its target."""

    PAUSED = "paused"
    OVERLAP = "overlap"
    MISFIRE = "misfire"
    CANCELLED = "cancelled"
    DELETED = "deleted"
    RESCHEDULED = "rescheduled"
    INVALID = "invalid"
    WORKER_LOST = "worker_lost"
    SHADOW = "shadow"


#: The reasons in plain words, for logs and explanations.
REASON_TEXTS: Final = {
    Reason.PAUSED: "the job was paused",
    Reason.OVERLAP: "an earlier execution of the job had not finished (overlap_policy)",
    Reason.MISFIRE: "it was missed, and the job's misfire_policy does not run it late",
    Reason.CANCELLED: "somebody cancelled it",
    Reason.DELETED: "the job was deleted",
    Reason.RESCHEDULED: "the job got another schedule",
    Reason.INVALID: "the job cannot be performed as it is defined",
    Reason.WORKER_LOST: "its worker was lost too often",
    Reason.SHADOW: "the job is in shadow: its instants are recorded, and nothing is sent",
}
