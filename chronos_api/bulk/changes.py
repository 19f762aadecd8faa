"""Changes of many jobs at once: pause, resume, execute, delete, tag.

Here are the selection of the jobs, the dry run and each job's result. Every change that can be
made is made, in one transaction and as for a single job.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.executions import service as executions
from chronos_api.jobs import lifecycle
from chronos_api.jobs.changes import is_other_pause, pause_of
from chronos_api.transactions import Call, Session, Transaction, begin, reading
from chronos_common.domain.jobs import MAX_TAGS, Pause
from chronos_common.domain.statuses import JobStatus
from chronos_common.errors import Invalid
from chronos_common.storage.jobs import jobs, lists
from chronos_common.storage.jobs.filters import JobFilter

#: The locks of one transaction, and the length of its answer.
MAX_JOBS = 1000

#: The jobs of a change in the background, and those that a dry run counts.
MAX_MATCHED = 1_000_000


class Action(StrEnum):
    """The changes that one request can make to many jobs."""

    PAUSE = "pause"
    RESUME = "resume"
    EXECUTE = "execute"
    DELETE = "delete"
    TAG = "tag"


class ItemOutcome(StrEnum):
    """How a change of one job ended, or would."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsChange:
    """An action, and its jobs: those with ``ids``, or those that match ``filters``."""

    action: Action
    ids: Sequence[UUID] | None = None
    filters: JobFilter | None = None
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    note: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One job's result. ``reason`` says why it could not be changed."""

    job_id: UUID
    outcome: ItemOutcome
    reason: str | None = None
    execution_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """The results of at most :data:`MAX_JOBS` of the jobs that matched.

    More than ``matched`` jobs match if that is not exact, which only a dry run meets.
    """

    action: Action
    matched: int
    items: Sequence[ItemResult]
    matched_is_exact: bool = True
    dry_run: bool = False

    @property
    def changed(self) -> int:
        """How many of the items changed, or would."""
        return sum(item.outcome is ItemOutcome.CHANGED for item in self.items)


def apply(call: Call, change: JobsChange) -> BulkOutcome:
    """Change the jobs. Raises :class:`Invalid` if more than :data:`MAX_JOBS` match."""
    with begin(call) as tx:
        job_ids = _matching(tx, change)
        if len(job_ids) > MAX_JOBS:
            raise Invalid({"filter": [_TOO_MANY]})
        results = apply_to(tx, change, job_ids)
    return BulkOutcome(change.action, len(job_ids), results)


def apply_to(tx: Transaction, change: JobsChange, job_ids: Sequence[UUID]) -> list[ItemResult]:
    """Make the change of these jobs, as a part of the transaction, and return their results."""
    pause_of(tx, change.note, change.until)
    rows = jobs.lock(tx.connection, tx.workspace_id, job_ids)
    results = _results(change, job_ids, rows)
    changed = [row for row in rows if results[row["id"]].outcome is ItemOutcome.CHANGED]
    if changed:
        results |= _apply(tx, change, changed)
    return list(results.values())


def dry_run(call: Call, change: JobsChange) -> BulkOutcome:
    """Return the results that :func:`apply` would have for the first :data:`MAX_JOBS` jobs."""
    with reading(call) as session:
        pause_of(session, change.note, change.until)
        job_ids = _matching(session, change)[:MAX_JOBS]
        rows = jobs.find_many(session.connection, session.workspace_id, job_ids)
        results = list(_results(change, job_ids, rows).values())
        if change.filters is None or len(job_ids) < MAX_JOBS:
            return BulkOutcome(change.action, len(job_ids), results, dry_run=True)
        matched = lists.count_matching(
            session.connection, session.workspace_id, change.filters, at_most=MAX_MATCHED
        )
    return BulkOutcome(
        change.action,
        matched.number,
        results,
        matched_is_exact=matched.is_exact,
        dry_run=True,
    )


def names(call: Call, job_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the names of those of the jobs that are there, in the same order."""
    with reading(call) as session:
        found = jobs.names_of(session.connection, job_ids)
    return {job_id: found[job_id] for job_id in job_ids if job_id in found}


_TOO_MANY = (
    f"Matches more than {MAX_JOBS} jobs; narrow it, or send in_background to change them all."
)


def _matching(session: Session, change: JobsChange) -> list[UUID]:
    """Return the ids that were given, or those of at most :data:`MAX_JOBS` + 1 jobs."""
    if change.filters is None:
        return list(dict.fromkeys(change.ids or ()))
    return lists.matching(
        session.connection, session.workspace_id, change.filters, at_most=MAX_JOBS + 1
    )


def _results(
    change: JobsChange, job_ids: Sequence[UUID], rows: Sequence[RowMapping]
) -> dict[UUID, ItemResult]:
    """Return each job's result, by its id, before anything is changed."""
    results = {job_id: ItemResult(job_id, ItemOutcome.NOT_FOUND) for job_id in job_ids}
    return results | {row["id"]: _result(change, row) for row in rows}


def _result(change: JobsChange, row: RowMapping) -> ItemResult:
    match change.action:
        case Action.PAUSE:
            return _paused(change, row)
        case Action.RESUME:
            return _moved(row, JobStatus.ACTIVE)
        case Action.TAG:
            return _tagged(change, row)
        case Action.EXECUTE | Action.DELETE:
            return ItemResult(row["id"], ItemOutcome.CHANGED)


def _moved(row: RowMapping, status: JobStatus) -> ItemResult:
    if row["status"] == status:
        return ItemResult(row["id"], ItemOutcome.UNCHANGED)
    if row["status"] not in {JobStatus.ACTIVE, JobStatus.PAUSED}:
        return ItemResult(row["id"], ItemOutcome.CONFLICT, f"The job is {row['status']}.")
    return ItemResult(row["id"], ItemOutcome.CHANGED)


def _paused(change: JobsChange, row: RowMapping) -> ItemResult:
    pause = Pause(note=change.note, until=change.until)
    if row["status"] == JobStatus.PAUSED and is_other_pause(row, pause):
        return ItemResult(row["id"], ItemOutcome.CHANGED)
    return _moved(row, JobStatus.PAUSED)


def _tagged(change: JobsChange, row: RowMapping) -> ItemResult:
    tags = _tags(change, row)
    if tags == list(row["tags"]):
        return ItemResult(row["id"], ItemOutcome.UNCHANGED)
    if len(tags) > MAX_TAGS:
        reason = f"The job would have more than {MAX_TAGS} tags."
        return ItemResult(row["id"], ItemOutcome.CONFLICT, reason)
    return ItemResult(row["id"], ItemOutcome.CHANGED)


def _tags(change: JobsChange, row: RowMapping) -> list[str]:
    kept = [tag for tag in row["tags"] if tag not in set(change.remove_tags)]
    return list(dict.fromkeys([*kept, *change.add_tags]))


def _apply(
    tx: Transaction, change: JobsChange, rows: Sequence[RowMapping]
) -> dict[UUID, ItemResult]:
    """Change locked jobs, and return the results that say more than before."""
    match change.action:
        case Action.PAUSE:
            _pause(tx, change, lifecycle.lock_schedules(tx, rows))
        case Action.RESUME:
            lifecycle.resume(tx, lifecycle.lock_schedules(tx, rows))
        case Action.DELETE:
            lifecycle.delete(tx, lifecycle.lock_schedules(tx, rows))
        case Action.TAG:
            lifecycle.set_tags(tx, rows, {row["id"]: _tags(change, row) for row in rows})
        case Action.EXECUTE:
            return {
                job_id: ItemResult(job_id, ItemOutcome.CHANGED, execution_id=execution_id)
                for job_id, execution_id in executions.trigger_all(tx, rows).items()
            }
        case _:
            assert_never(change.action)
    return {}


def _pause(tx: Transaction, change: JobsChange, rows: Sequence[RowMapping]) -> None:
    pause = pause_of(tx, change.note, change.until)
    paused = [row for row in rows if row["status"] == JobStatus.PAUSED]
    active = [row for row in rows if row["status"] != JobStatus.PAUSED]
    if paused:
        lifecycle.change_pause(tx, paused, pause)
    if active:
        lifecycle.pause(tx, active, pause)
