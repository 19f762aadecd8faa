"""What is done to many jobs at once: pause, resume, execute, delete, tag.

Everything that can be done is done, in one transaction; each job's result says what became of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.audit import diff
from chronos_api.jobs import missed, snapshots
from chronos_api.transactions import Call, Session, Transaction, begin, reading
from chronos_common.domain.jobs import MAX_TAGS
from chronos_common.domain.queues import QUEUE_OF
from chronos_common.domain.statuses import JobStatus, JobType, Reason
from chronos_common.errors import Invalid
from chronos_common.storage.jobs import bulk, jobs, lists
from chronos_common.storage.jobs.filters import JobFilter

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


def perform(call: Call, wish: Wish) -> BulkOutcome:
    """Do it. Raises :class:`Invalid` if more than :data:`MAX_JOBS` jobs match."""
    with begin(call) as tx:
        wanted = _wanted(tx, wish)
        if len(wanted) > MAX_JOBS:
            raise Invalid({"filter": [_TOO_MANY]})
        bulk.lock_jobs(tx.connection, tx.workspace_id, wanted)
        rows = jobs.find_many(tx.connection, tx.workspace_id, wanted)
        items = _judge(wish, wanted, rows)
        changed = [row for row in rows if items[row["id"]].outcome is ItemOutcome.CHANGED]
        if changed:
            items |= _APPLY[wish.action](tx, wish, changed)
    return BulkOutcome(wish.action, len(wanted), list(items.values()))


def rehearse(call: Call, wish: Wish) -> BulkOutcome:
    """Tell what would be done, of the first :data:`MAX_JOBS` jobs, and how many match."""
    with reading(call) as session:
        wanted = _wanted(session, wish)[:MAX_JOBS]
        rows = jobs.find_many(session.connection, session.workspace_id, wanted)
        items = list(_judge(wish, wanted, rows).values())
        if wish.chosen is None or len(wanted) < MAX_JOBS:
            return BulkOutcome(wish.action, len(wanted), items, dry_run=True)
        matched = lists.count(session.connection, session.workspace_id, wish.chosen)
    most = lists.MAX_COUNT
    is_exact = matched <= most
    return BulkOutcome(
        wish.action, min(matched, most), items, matched_is_exact=is_exact, dry_run=True
    )


_TOO_MANY = (
    f"Matches more than {MAX_JOBS} jobs; narrow it, or list the jobs and send their ids in parts."
)


def _wanted(session: Session, wish: Wish) -> list[UUID]:
    if wish.chosen is None:
        return list(dict.fromkeys(wish.ids or ()))
    return lists.matching(
        session.connection, session.workspace_id, wish.chosen, at_most=MAX_JOBS + 1
    )


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


def _pause(tx: Transaction, _: Wish, rows: Rows) -> dict[UUID, ItemResult]:
    _stop(tx, rows, Reason.PAUSED)
    bulk.set_status(tx.connection, _ids(rows), JobStatus.PAUSED, now=tx.now)
    tx.audit("job.pause", "job", _names(rows))
    return {}


def _resume(tx: Transaction, _: Wish, rows: Rows) -> dict[UUID, ItemResult]:
    bulk.lock_schedules(tx.connection, _ids(rows))
    bulk.activate(tx.connection, _ids(rows), resumed_at=tx.now)
    bulk.set_status(tx.connection, _ids(rows), JobStatus.ACTIVE, now=tx.now)
    tx.audit("job.resume", "job", _names(rows))
    return {}


def _delete(tx: Transaction, _: Wish, rows: Rows) -> dict[UUID, ItemResult]:
    _stop(tx, rows, Reason.DELETED)
    bulk.delete(tx.connection, _ids(rows), now=tx.now)
    details = {row["id"]: snapshots.differences(row, None) for row in rows}
    tx.audit("job.delete", "job", details)
    return {}


def _stop(tx: Transaction, rows: Rows, reason: Reason) -> None:
    """Plan the jobs no more, and give what was due or planned of them its fate."""
    bulk.lock_schedules(tx.connection, _ids(rows))
    for row in jobs.find_many(tx.connection, tx.workspace_id, _ids(rows)):
        missed.settle(tx, row, reason=reason)
    tx.moved(bulk.stop(tx.connection, _ids(rows), reason=reason, now=tx.now))


def _tag(tx: Transaction, wish: Wish, rows: Rows) -> dict[UUID, ItemResult]:
    tags = {row["id"]: _tags(wish, row) for row in rows}
    bulk.set_tags(tx.connection, tags, now=tx.now)
    details = {
        row["id"]: {"name": row["name"]}
        | diff.between({"tags": row["tags"]}, {"tags": tags[row["id"]]})
        for row in rows
    }
    tx.audit("job.update", "job", details)
    return {}


def _execute(tx: Transaction, _: Wish, rows: Rows) -> dict[UUID, ItemResult]:
    queue_of = {row["id"]: QUEUE_OF[JobType(row["type"])] for row in rows}
    triggered = bulk.trigger(tx.connection, tx.workspace_id, queue_of, now=tx.now)
    details = {execution_id: {"job_id": str(job)} for job, execution_id in triggered.items()}
    tx.audit("job.execute", "execution", details)
    return {
        job_id: ItemResult(job_id, ItemOutcome.CHANGED, execution_id=execution_id)
        for job_id, execution_id in triggered.items()
    }


_APPLY: Mapping[Action, Callable[[Transaction, Wish, Rows], dict[UUID, ItemResult]]] = {
    Action.PAUSE: _pause,
    Action.RESUME: _resume,
    Action.EXECUTE: _execute,
    Action.DELETE: _delete,
    Action.TAG: _tag,
}
