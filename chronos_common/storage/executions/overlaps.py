"""Overlap policies, applied to executions at the moment they would start.

Only jobs that do not allow overlaps come here. One transaction:

1. Lock the jobs (advisory, in one order), so that two workers cannot both find none running.
2. Read the unfinished executions of these jobs.
3. Judge each due one, the earliest first (pure, see ``domain.overlaps``). One that starts counts
   as running for those after it.
4. Skip, postpone or cancel. Return those that may be claimed in the same transaction, and those
   that it ended.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.domain.executions import Moved
from chronos_common.domain.overlaps import (
    OverlapPolicy,
    OverlapVerdict,
    UnfinishedExecution,
    judge,
)
from chronos_common.domain.statuses import Reason, Status, Trigger
from chronos_common.storage.executions import executions

#: How soon an execution that waits for its turn looks again.
WAIT = timedelta(seconds=1)

_LOCK = text("""
    SELECT pg_advisory_xact_lock(hashtextextended(job, 0))
      FROM (SELECT unnest(CAST(:jobs AS text[])) AS job ORDER BY 1) AS jobs""")

_UNFINISHED = text("""
    SELECT job_id, id, status, scheduled_for, attempt, trigger FROM executions
     WHERE job_id = ANY(CAST(:jobs AS uuid[])) AND finished_at IS NULL
     ORDER BY scheduled_for, id""")

_POSTPONE = text("""
    UPDATE executions SET due_at = :due_at, dispatched_at = NULL
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'queued'""")


@dataclass(slots=True)
class _Verdicts:
    start: list[UUID] = field(default_factory=list)
    skip: list[UUID] = field(default_factory=list)
    wait: list[UUID] = field(default_factory=list)
    cancel: list[UUID] = field(default_factory=list)


def admit(
    connection: Connection,
    due: Sequence[UUID],
    policies: Mapping[UUID, OverlapPolicy],
    *,
    now: datetime,
) -> tuple[list[UUID], list[Moved]]:
    """Return the ``due`` executions that may be claimed in this transaction, and those it ended.

    ``policies`` are by job id.
    """
    connection.execute(_LOCK, {"jobs": [str(job_id) for job_id in policies]})
    verdicts = _Verdicts()
    wanted = set(due)
    for job_id, unfinished in _unfinished_of(connection, list(policies)).items():
        _judge_all(policies[job_id], wanted, unfinished, verdicts)
    moved = executions.end(
        connection, verdicts.skip, status=Status.SKIPPED, reason=Reason.OVERLAP, now=now
    )
    moved += executions.end(
        connection, verdicts.cancel, status=Status.CANCELLED, reason=Reason.OVERLAP, now=now
    )
    if verdicts.wait:
        connection.execute(_POSTPONE, {"ids": verdicts.wait, "due_at": now + WAIT})
    return verdicts.start, moved


def _unfinished_of(
    connection: Connection, job_ids: Sequence[UUID]
) -> Mapping[UUID, list[UnfinishedExecution]]:
    found: dict[UUID, list[UnfinishedExecution]] = defaultdict(list)
    for row in connection.execute(_UNFINISHED, {"jobs": list(job_ids)}):
        found[row.job_id].append(
            UnfinishedExecution(
                row.id, Status(row.status), row.scheduled_for, row.attempt, Trigger(row.trigger)
            )
        )
    return found


def _judge_all(
    policy: OverlapPolicy,
    wanted: set[UUID],
    unfinished: list[UnfinishedExecution],
    verdicts: _Verdicts,
) -> None:
    """Judge the wanted ones among a job's unfinished executions, the earliest first."""
    for index, each in enumerate(list(unfinished)):
        if each.id not in wanted or each.status is not Status.QUEUED:
            continue
        others = [other for other in unfinished if other.id != each.id]
        match judge(policy, each, others):
            case OverlapVerdict.SKIP:
                verdicts.skip.append(each.id)
                unfinished[index] = replace(each, status=Status.SKIPPED)
            case OverlapVerdict.WAIT:
                verdicts.wait.append(each.id)
            case OverlapVerdict.CANCEL_OTHERS:
                _cancel_under_way(unfinished, each, verdicts)
                _start(unfinished, index, verdicts)
            case OverlapVerdict.START:
                _start(unfinished, index, verdicts)
            case verdict:
                assert_never(verdict)


def _start(unfinished: list[UnfinishedExecution], index: int, verdicts: _Verdicts) -> None:
    verdicts.start.append(unfinished[index].id)
    unfinished[index] = replace(unfinished[index], status=Status.RUNNING)


def _cancel_under_way(
    unfinished: list[UnfinishedExecution], due: UnfinishedExecution, verdicts: _Verdicts
) -> None:
    for index, other in enumerate(unfinished):
        if other.id != due.id and other.is_under_way:
            verdicts.cancel.append(other.id)
            unfinished[index] = replace(other, status=Status.CANCELLED, attempt=1)
            if other.id in verdicts.start:
                verdicts.start.remove(other.id)


_OF_JOBS = text("""
    SELECT id FROM executions
     WHERE id = ANY(CAST(:ids AS uuid[])) AND job_id = ANY(CAST(:jobs AS uuid[]))""")


def of_jobs(
    connection: Connection, identifiers: Sequence[UUID], job_ids: Sequence[UUID]
) -> list[UUID]:
    """Return the executions that belong to these jobs."""
    rows = connection.execute(_OF_JOBS, {"ids": list(identifiers), "jobs": list(job_ids)})
    return list(rows.scalars())
