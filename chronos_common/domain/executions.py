"""What a worker needs to perform an execution."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from chronos_common.domain.jobs import WorkerFields
from chronos_common.domain.statuses import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec(WorkerFields):
    """The part of a job that its executions need.

    ``payload`` is the JSON as stored, not yet parsed. The fields below are the workspace's.
    ``signing_secret`` has the form ``whsec_<base64>``. ``previous_signing_secret`` is there for
    as long as receivers may still verify with it.
    """

    id: UUID
    workspace_id: UUID
    signing_secret: str
    default_webhook_url: str | None = None
    previous_signing_secret: str | None = None


class Claimed(NamedTuple):
    """An execution that a worker holds: the right to perform attempt number ``attempt``.

    ``worker_id``, ``attempt`` and ``redeliveries`` together are the fencing token: what was
    handed to somebody else since differs in one of them, and is not overwritten. What was not
    started is given back, and may be claimed by the same worker again; ``claimed_at`` tells
    those claims apart.
    """

    id: UUID
    job_id: UUID
    workspace_id: UUID
    worker_id: UUID
    claimed_at: datetime
    scheduled_for: datetime
    due_at: datetime
    attempt: int
    redeliveries: int


class Moved(NamedTuple):
    """An execution after its status changed, with the values that statistics need."""

    id: UUID
    workspace_id: UUID
    job_id: UUID
    status: Status
    scheduled_for: datetime
    started_at: datetime | None
    duration_ms: int | None
