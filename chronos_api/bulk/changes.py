"""What is done to many jobs at once: pause, resume, execute, delete, tag.

Everything that can be done is done, in one transaction; each job's result says what became of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from chronos_api.audit import diff
from chronos_api.jobs import missed, snapshots
from chronos_api.jobs.service import note_all
from chronos_api.security.access import Principal
from chronos_common.domain.jobs import MAX_TAGS
from chronos_common.domain.queues import QUEUE_OF
from chronos_common.domain.statuses import JobStatus, Reason
from chronos_common.errors import Invalid
from chronos_common.storage.executions import statistics
from chronos_common.storage.jobs import bulk, jobs, lists
from chronos_common.storage.jobs.filters import JobFilter
from chronos_common.storage.postgres.database import transaction

#: The locks of one transaction, and the length of its answer.
MAX_JOBS = 1000


class Action(StrEnum):
    """What to do."""

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
class Wish:
    """What to do, and to which jobs: those with ``ids``, or those that ``chosen`` means."""

    action: Action
    ids: Sequence[UUID] | None = None
    chosen: JobFilter | None = None
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One job's result; ``reason`` says why nothing could be done."""

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


def perform(engine: Engine, who: Principal, wish: Wish, *, now: datetime) -> BulkOutcome:
    """Do it. Raises :class:`Invalid` if more than :data:`MAX_JOBS` jobs match."""
    with transaction(engine) as connection:
        wanted = _wanted(connection, who, wish)
        if len(wanted) > MAX_JOBS:
            raise Invalid({"filter": [_TOO_MANY]})
        bulk.lock_jobs(connection, who.workspace_id, wanted)
        rows = jobs.find_many(connection, who.workspace_id, wanted)
        items = _judge(wish, wanted, rows)
        changed = [row for row in rows if items[row["id"]].outcome is ItemOutcome.CHANGED]
        if changed:
            items |= _APPLY[wish.action](connection, who, wish, changed, now)
    return BulkOutcome(wish.action, len(wanted), list(items.values()))


def rehearse(engine: Engine, who: Principal, wish: Wish) -> BulkOutcome:
    """Tell what would be done, of the first :data:`MAX_JOBS` jobs, and how many match."""
    with transaction(engine) as connection:
        wanted = _wanted(connection, who, wish)[:MAX_JOBS]
        rows = jobs.find_many(connection, who.workspace_id, wanted)
        items = list(_judge(wish, wanted, rows).values())
        if wish.chosen is None or len(wanted) < MAX_JOBS:
            return BulkOutcome(wish.action, len(wanted), items, dry_run=True)
        matched = lists.count(connection, who.workspace_id, wish.chosen)
    most = lists.MAX_COUNT
    is_exact = matched <= most
    return BulkOutcome(
        wish.action, min(matched, most), items, matched_is_exact=is_exact, dry_run=True
    )


_TOO_MANY = (
    f"Matches more than {MAX_JOBS} jobs; narrow it, or list the jobs and send their ids in parts."
)


def _wanted(connection: Connection, who: Principal, wish: Wish) -> list[UUID]:
    if wish.chosen is None:
        return list(dict.fromkeys(wish.ids or ()))
    return lists.matching(connection, who.workspace_id, wish.chosen, at_most=MAX_JOBS + 1)


def _judge(
    wish: Wish, wanted: Sequence[UUID], rows: Sequence[RowMapping]
) -> dict[UUID, ItemResult]:
    found = {row["id"]: row for row in rows}
    return {
        job_id: _item(wish, found[job_id])
        if job_id in found
        else ItemResult(job_id, ItemOutcome.NOT_FOUND)
        for job_id in wanted
    }


def _item(wish: Wish, row: RowMapping) -> ItemResult:
    match wish.action:
        case Action.PAUSE | Action.RESUME:
            target = JobStatus.PAUSED if wish.action is Action.PAUSE else JobStatus.ACTIVE
            return _moved(row, target)
        case Action.TAG:
            return _tagged(wish, row)
        case Action.EXECUTE | Action.DELETE:
            return ItemResult(row["id"], ItemOutcome.CHANGED)


def _moved(row: RowMapping, target: JobStatus) -> ItemResult:
    if row["status"] == target:
        return ItemResult(row["id"], ItemOutcome.UNCHANGED)
    if row["status"] not in {JobStatus.ACTIVE, JobStatus.PAUSED}:
        return ItemResult(row["id"], ItemOutcome.CONFLICT, f"The job is {row['status']}.")
    return ItemResult(row["id"], ItemOutcome.CHANGED)


def _tagged(wish: Wish, row: RowMapping) -> ItemResult:
    tags = _tags(wish, row)
    if tags == list(row["tags"]):
        return ItemResult(row["id"], ItemOutcome.UNCHANGED)
    if len(tags) > MAX_TAGS:
        return ItemResult(
            row["id"], ItemOutcome.CONFLICT, f"The job would have more than {MAX_TAGS} tags."
        )
    return ItemResult(row["id"], ItemOutcome.CHANGED)


def _tags(wish: Wish, row: RowMapping) -> list[str]:
    kept = [tag for tag in row["tags"] if tag not in set(wish.remove_tags)]
    return list(dict.fromkeys([*kept, *wish.add_tags]))


Rows = Sequence[RowMapping]


def _ids(rows: Rows) -> list[UUID]:
    return [row["id"] for row in rows]


def _names(rows: Rows) -> dict[UUID, Mapping[str, object]]:
    return {row["id"]: {"name": row["name"]} for row in rows}


def _pause(
    connection: Connection, who: Principal, _: Wish, rows: Rows, now: datetime
) -> dict[UUID, ItemResult]:
    _stop(connection, who, rows, Reason.PAUSED, now)
    bulk.set_status(connection, _ids(rows), JobStatus.PAUSED, now=now)
    note_all(connection, who, "job.pause", _names(rows), now=now)
    return {}


def _resume(
    connection: Connection, who: Principal, _: Wish, rows: Rows, now: datetime
) -> dict[UUID, ItemResult]:
    bulk.lock_schedules(connection, _ids(rows))
    bulk.activate(connection, _ids(rows), resumed_at=now)
    bulk.set_status(connection, _ids(rows), JobStatus.ACTIVE, now=now)
    note_all(connection, who, "job.resume", _names(rows), now=now)
    return {}


def _delete(
    connection: Connection, who: Principal, _: Wish, rows: Rows, now: datetime
) -> dict[UUID, ItemResult]:
    _stop(connection, who, rows, Reason.DELETED, now)
    bulk.delete(connection, _ids(rows), now=now)
    details = {row["id"]: snapshots.differences(row, None) for row in rows}
    note_all(connection, who, "job.delete", details, now=now)
    return {}


def _stop(
    connection: Connection, who: Principal, rows: Rows, reason: Reason, now: datetime
) -> None:
    """Plan the jobs no more, and give what was due or planned of them its fate."""
    bulk.lock_schedules(connection, _ids(rows))
    for row in jobs.find_many(connection, who.workspace_id, _ids(rows)):
        missed.settle(connection, row, reason=reason, now=now)
    ended = bulk.stop(connection, _ids(rows), reason=reason, now=now)
    statistics.add(connection, ended, now=now)


def _tag(
    connection: Connection, who: Principal, wish: Wish, rows: Rows, now: datetime
) -> dict[UUID, ItemResult]:
    tags = {row["id"]: _tags(wish, row) for row in rows}
    bulk.set_tags(connection, tags, now=now)
    details = {
        row["id"]: {"name": row["name"]}
        | diff.between({"tags": row["tags"]}, {"tags": tags[row["id"]]})
        for row in rows
    }
    note_all(connection, who, "job.update", details, now=now)
    return {}


def _execute(
    connection: Connection, who: Principal, _: Wish, rows: Rows, now: datetime
) -> dict[UUID, ItemResult]:
    queue_of = {row["id"]: QUEUE_OF[row["type"]] for row in rows}
    triggered = bulk.trigger(connection, who.workspace_id, queue_of, now=now)
    details = {execution_id: {"job_id": str(job)} for job, execution_id in triggered.items()}
    note_all(connection, who, "job.execute", details, now=now, subject_type="execution")
    return {
        job_id: ItemResult(job_id, ItemOutcome.CHANGED, execution_id=execution_id)
        for job_id, execution_id in triggered.items()
    }


_APPLY: Mapping[
    Action, Callable[[Connection, Principal, Wish, Rows, datetime], dict[UUID, ItemResult]]
] = {
    Action.PAUSE: _pause,
    Action.RESUME: _resume,
    Action.EXECUTE: _execute,
    Action.DELETE: _delete,
    Action.TAG: _tag,
}
