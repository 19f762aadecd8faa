"""Jobs and executions as workers get them, with everything that a test does not mention."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from chronos_common import ids
from chronos_common.domain.executions import Claimed, JobSpec

SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MOMENT = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def job(
    payload: dict[str, Any],
    job_type: str = "webhook",
    *,
    name: str = "Nightly report",
    timeout_seconds: float = 5,
) -> JobSpec:
    return JobSpec(
        id=uuid4(),
        workspace_id=UUID(int=7),
        name=name,
        type=job_type,
        payload=payload,
        timeout_seconds=timeout_seconds,
        signing_secret=SIGNING_SECRET,
    )


def claimed(of: JobSpec, due_at: datetime = MOMENT, *, attempt: int = 1) -> Claimed:
    return Claimed(
        id=ids.trigger_id(due_at),
        job_id=of.id,
        workspace_id=of.workspace_id,
        worker_id=UUID(int=9),
        claimed_at=due_at,
        scheduled_for=due_at,
        due_at=due_at,
        attempt=attempt,
        redeliveries=0,
    )
