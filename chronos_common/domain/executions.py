"""An execution as a worker performs it: its job's part, its claim, and its attempts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from chronos_common.domain.jobs import WorkerFields
from chronos_common.domain.statuses import Status

#: Characters of an error that the history keeps. Targets and mail servers write parts of it.
MAX_ERROR_LENGTH = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec(WorkerFields):
    """The part of a job that its executions need.

    ``payload`` is the JSON as stored, not yet parsed. ``version`` is the job's, None for a test
    run. The other fields below are the workspace's.
    ``signing_secret`` has the form ``whsec_<base64>``. ``previous_signing_secret`` is there for
    as long as receivers may still verify with it.
    """

    id: UUID
    workspace_id: UUID
    signing_secret: str
    default_webhook_url: str | None = None
    previous_signing_secret: str | None = None
    version: int | None = None


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


class Moved(NamedTuple):
    """An execution after its status changed, with the values that statistics need."""

    id: UUID
    workspace_id: UUID
    job_id: UUID
    status: Status
    scheduled_for: datetime
    started_at: datetime | None
    duration_ms: int | None
