"""The figures of one job, from its latest executions."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.jobs import service, snapshots
from chronos_api.statistics.dashboard import success_rate
from chronos_api.transactions import Call, reading
from chronos_common.domain.statuses import Status
from chronos_common.storage.executions import history

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


def statistics(call: Call, job_id: UUID, *, limit: int) -> JobFigures:
    """Return the figures of the job's latest ``limit`` executions. Raises :class:`JobNotFound`."""
    with reading(call) as session:
        job = service.find(session, job_id)
        rows = history.recent_of_job(session.connection, job_id, limit=limit)
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
        next_runs=snapshots.next_runs(job, now=call.now),
    )


def _durations(rows: Sequence[RowMapping]) -> list[int]:
    ran = (row["duration_ms"] for row in rows if row["status"] in {"succeeded", "failed"})
    return sorted(duration for duration in ran if duration is not None)
