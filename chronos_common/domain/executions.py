"""What a worker needs to perform an execution."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.statuses import OverlapPolicy


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The part of a job that its executions need.

    ``payload`` is the JSON as stored, not yet parsed; ``signing_secret`` is the workspace's, in
    the form ``whsec_<base64>``; ``default_webhook_url`` is the workspace's too, and
    so is ``previous_signing_secret``, as long as receivers may still verify with it.
    """

    id: UUID
    workspace_id: UUID
    name: str
    type: str
    payload: Mapping[str, Any]
    timeout_seconds: float
    policy: RetryPolicy
    overlap_policy: OverlapPolicy
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
