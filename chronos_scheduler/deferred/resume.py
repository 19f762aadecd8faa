"""Resume: end the pauses whose time is over.

1. Look up the jobs whose pause is over. An index holds just the pauses that end.
2. Lock the jobs of a workspace, and then their schedules, as the API does. A job that somebody
   resumed, deleted or paused for longer meanwhile is left alone.
3. Mark them as active, spend their part of the quotas, and write the audit log, in the same
   transaction. Occurrences before the end of the pause were missed because of it.

If the workspace's quota has no room, its jobs are tried one by one. Those that do not fit stay
paused, and the audit log says so.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine, RowMapping

from chronos_common import clock
from chronos_common.domain.schedules.schedule import runs_per_day
from chronos_common.domain.statuses import JobStatus
from chronos_common.quotas import RUNS_PER_DAY, QuotaExceeded
from chronos_common.storage import audit, quotas
from chronos_common.storage.jobs import jobs, schedules
from chronos_common.storage.postgres.database import reading, transaction

_log = structlog.get_logger(__name__)

#: Jobs that one tick resumes.
BATCH = 500


class Resumer:
    """Resumes a batch of jobs at each tick. ``settings`` have the bounds of the quotas."""

    def __init__(self, engine: Engine, settings: Any) -> None:
        self._engine = engine
        self._settings = settings
        #: The earliest end of a pause at the last tick.
        self.next_due: datetime | None = None

    def tick(self) -> bool:
        """Resume jobs whose pause is over. Return whether there may be more."""
        now = clock.now()
        with reading(self._engine) as connection:
            self.next_due = jobs.next_resume(connection)
            if self.next_due is None or self.next_due > now:
                return False
            over = jobs.pauses_over(connection, batch=BATCH, now=now)
        for workspace_id, job_ids in over.items():
            self._resume(workspace_id, job_ids, now=now)
        return True

    def _resume(self, workspace_id: UUID, job_ids: Sequence[UUID], *, now: datetime) -> None:
        try:
            with transaction(self._engine) as connection:
                self._resume_in(connection, workspace_id, job_ids, now=now)
        except QuotaExceeded as error:
            if len(job_ids) > 1:
                for job_id in job_ids:
                    self._resume(workspace_id, [job_id], now=now)
            else:
                self._leave_paused(workspace_id, job_ids[0], str(error), now=now)

    def _resume_in(
        self,
        connection: Connection,
        workspace_id: UUID,
        job_ids: Sequence[UUID],
        *,
        now: datetime,
    ) -> None:
        jobs.lock(connection, workspace_id, job_ids)
        schedules.lock(connection, job_ids)
        rows = jobs.find_many(connection, workspace_id, job_ids)
        over = [row for row in rows if _is_over(row, now)]
        # An API of the release before resumes jobs and leaves the end of their pause.
        strays = [row["id"] for row in rows if row["status"] != JobStatus.PAUSED]
        jobs.forget_end_of_pause(connection, strays)
        if not over:
            return
        for until in {row["paused_until"] for row in over}:
            of_one_end = [row["id"] for row in over if row["paused_until"] == until]
            schedules.activate(connection, of_one_end, resumed_at=until)
        jobs.activate(connection, [row["id"] for row in over], now=now)
        audit.append_automatic(
            connection,
            action="job.resume",
            subject_type="job",
            details={(workspace_id, row["id"]): _details(row) for row in over},
            now=now,
        )
        runs = sum(
            runs_per_day(row["kind"], row["expression"], row["interval_seconds"]) for row in over
        )
        quotas.spend(
            connection, workspace_id, {RUNS_PER_DAY: runs}, settings=self._settings, now=now
        )

    def _leave_paused(
        self, workspace_id: UUID, job_id: UUID, refusal: str, *, now: datetime
    ) -> None:
        """Let the job stay paused until a user resumes it, and write down why."""
        with transaction(self._engine) as connection:
            rows = jobs.lock(connection, workspace_id, [job_id])
            over = [row for row in rows if _is_over(row, now)]
            jobs.forget_end_of_pause(connection, [row["id"] for row in over])
            audit.append_automatic(
                connection,
                action="job.resume_refused",
                subject_type="job",
                details={
                    (workspace_id, row["id"]): _details(row) | {"reason": refusal} for row in over
                },
                now=now,
            )
        _log.warning("job stays paused", job_id=str(job_id), reason=refusal)


def _is_over(row: RowMapping, now: datetime) -> bool:
    until = row["paused_until"]
    return row["status"] == JobStatus.PAUSED and until is not None and until <= now


def _details(row: RowMapping) -> dict[str, object]:
    return {"name": row["name"], "until": clock.rfc3339(row["paused_until"])}
