"""The figures of one job, from its latest executions."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine, RowMapping

from chronos_api.jobs import snapshots
from chronos_api.security.access import Principal
from chronos_api.statistics.dashboard import success_rate
from chronos_common.domain.statuses import Status
from chronos_common.errors import JobNotFound
from chronos_common.storage.executions import history
from chronos_common.storage.jobs import jobs
from chronos_common.storage.postgres.database import transaction

#: How many outcomes are shown one by one.
SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFigures:
    """Outcomes and durations of a job's latest executions, and its next runs."""

    job_id: UUID
    considered: int
    since: datetime | None
    executions: Mapping[str, int]
    success_rate: float | None
    average_duration_ms: float | None
    p95_duration_ms: int | None
    latest: Sequence[RowMapping]
    next_runs: Sequence[datetime]


def statistics(
    engine: Engine, who: Principal, job_id: UUID, *, limit: int, now: datetime
) -> JobFigures:
    """Return the figures of the job's latest ``limit`` executions. Raises :class:`JobNotFound`."""
    with transaction(engine) as connection:
        job = jobs.find(connection, who.workspace_id, job_id)
        if job is None:
            raise JobNotFound
        rows = history.recent_of_job(connection, job_id, limit=limit)
    counts = Counter(row["status"] for row in rows)
    durations = _durations(rows)
    return JobFigures(
        job_id=job_id,
        considered=len(rows),
        since=rows[-1]["scheduled_for"] if rows else None,
        executions={status: counts[status] for status in Status},
        success_rate=success_rate(counts),
        average_duration_ms=round(sum(durations) / len(durations), 1) if durations else None,
        p95_duration_ms=durations[math.ceil(0.95 * len(durations)) - 1] if durations else None,
        latest=rows[:SHOWN],
        next_runs=snapshots.next_runs(job, now=now),
    )


def _durations(rows: Sequence[RowMapping]) -> list[int]:
    ran = (row["duration_ms"] for row in rows if row["status"] in {"succeeded", "failed"})
    return sorted(duration for duration in ran if duration is not None)
