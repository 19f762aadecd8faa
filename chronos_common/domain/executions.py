"""An execution as a worker performs it: its job's part, its claim, and its attempts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from chronos_common.domain.jobs import JobType
from chronos_common.domain.overlaps import OverlapPolicy
from chronos_common.domain.retries import RetryPolicy

#: Characters of an error that the history keeps. Targets and mail servers write parts of it.
MAX_ERROR_LENGTH = 2000


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The part of a job that its executions need.

    ``payload`` is the JSON as stored, not yet parsed. Three fields are the workspace's:
    ``signing_secret`` in the form ``whsec_<base64>``, ``default_webhook_url``, and
    ``previous_signing_secret`` as long as receivers may still verify with it.
    """

    id: UUID
    workspace_id: UUID
    name: str
    type: JobType
    payload: Mapping[str, Any]
    timeout_seconds: float
    policy: RetryPolicy
    overlap_policy: OverlapPolicy
    signing_secret: str
    default_webhook_url: str | None = None
    previous_signing_secret: str | None = None


class Claimed(NamedTuple):
    """An execution that a worker holds: the right to perform attempt number ``attempt``.

    ``worker_id``, ``attempt`` and ``redeliveries`` together are the fencing token: an execution
    that another worker claimed since differs in one of them, and is not overwritten. A worker
    gives back executions that it did not start, and may claim them again. ``claimed_at`` tells
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


class Attempt(NamedTuple):
    """The request, the response, and the duration of each part.

    ``started_at`` is the instant the request left. ``request`` and ``response`` hold JSON-ready
    values with secrets already redacted. ``timing_ms`` splits ``duration_ms`` into ``dns``,
    ``connect``, ``tls``, ``first_byte`` and ``total``.
    """

    started_at: datetime
    duration_ms: int
    request: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    http_status: int | None = None
    timing_ms: Mapping[str, float] | None = None
