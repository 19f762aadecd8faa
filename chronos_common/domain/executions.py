"""An execution as a worker performs it: its job's part, its claim, and its attempts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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


class Extras(NamedTuple):
    """The parts of an execution that differ from its job's.

    With ``has_payload``, ``payload`` is its own. It may be None: such a text cannot be read.
    ``logical_for`` is the instant that it stands for, and ``replay_of`` the execution that a
    replay repeats by it.
    """

    payload: Any = None
    has_payload: bool = False
    logical_for: datetime | None = None
    replay_of: UUID | None = None


class Claimed(NamedTuple):
    """An execution that a worker holds: the right to perform attempt number ``attempt``.

    ``worker_id``, ``attempt`` and ``redeliveries`` together are the fencing token: an execution
    that another worker claimed since differs in one of them, and is not overwritten. A worker
    gives back executions that it did not start, and may claim them again. ``claimed_at`` tells
    those claims apart. ``extras`` is None for nearly all of them.
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
    extras: Extras | None = None

    @property
    def stands_for(self) -> datetime:
        """Return the instant that targets are told: of a replay, that of its source."""
        extras = self.extras
        return extras.logical_for if extras and extras.logical_for else self.scheduled_for

    def edited(self, job: JobSpec) -> JobSpec:
        """Return ``job`` with the execution's own payload, if it has one."""
        if self.extras is None or not self.extras.has_payload:
            return job
        return replace(job, payload=self.extras.payload)


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
