"""The statements on ``bulk_changes``: changes of many jobs that the API makes by itself.

The ids of the jobs are stored when a change begins, and ``handled`` is how many of them have their
result. It moves in the transaction that changes those jobs. So whichever process dies, each job is
changed once, and no job that came to match later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    Uuid,
    bindparam,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chronos_common import ids
from chronos_common.storage import pages
from chronos_common.storage.tables import bulk_changes


class BulkState(StrEnum):
    """Whether a bulk change goes on."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBulkChange:
    """A bulk change to be stored. ``filter`` and ``options`` are JSON, as users gave them."""

    action: str
    options: Mapping[str, Any]
    filter: Mapping[str, Any] | None
    created_by: UUID
    key_id: UUID | None


#: The columns of a change without the ids of its jobs, which may be a million.
_SHORT = [column for column in bulk_changes.c if column is not bulk_changes.c.job_ids]

_NO_IDS = literal([], ARRAY(Uuid()))


def add(
    connection: Connection,
    workspace_id: UUID,
    new: NewBulkChange,
    job_ids: Sequence[UUID] | Select[Any],
    *,
    now: datetime,
) -> RowMapping:
    """Store a bulk change of some jobs, which begins at once, and return it.

    ``job_ids`` may be a query for them with the parameter ``workspace_id``.
    """
    identifier = ids.new_id(now)
    connection.execute(
        insert(bulk_changes).values(
            id=identifier,
            workspace_id=workspace_id,
            created_by=new.created_by,
            key_id=new.key_id,
            created_at=now,
            action=new.action,
            options=dict(new.options),
            filter=None if new.filter is None else dict(new.filter),
            job_ids=[] if isinstance(job_ids, Select) else list(job_ids),
            matched=0,
            handled=0,
            results={},
            reasons={},
            sample=[],
            state=BulkState.RUNNING,
            next_at=now,
            updated_at=now,
        )
    )
    if isinstance(job_ids, Select):
        # Given to the statement, the parameter would be a column of it.
        found = job_ids.params(workspace_id=workspace_id).subquery()
        every = select(func.coalesce(func.array_agg(found.c.id), _NO_IDS)).scalar_subquery()
        its = bulk_changes.c.id == identifier
        connection.execute(update(bulk_changes).where(its).values(job_ids=every))
    connection.execute(_COUNT_JOBS, {"id": identifier})
    return connection.execute(_found(workspace_id, identifier)).mappings().one()


_COUNT_JOBS = text("UPDATE bulk_changes SET matched = cardinality(job_ids) WHERE id = :id")

_LOCK_WORKSPACE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

_COUNT_OPEN = text("""
    SELECT count(*) FROM bulk_changes WHERE workspace_id = :workspace_id AND state = 'running'""")


def count_open(connection: Connection, workspace_id: UUID) -> int:
    """Return how many changes are not over. Others who count wait for this transaction."""
    connection.execute(_LOCK_WORKSPACE, {"name": f"bulk_changes:{workspace_id}"})
    number: int = connection.execute(_COUNT_OPEN, {"workspace_id": workspace_id}).scalar_one()
    return number


def _found(workspace_id: UUID, identifier: UUID) -> Select[Any]:
    return select(*_SHORT).where(
        bulk_changes.c.id == identifier, bulk_changes.c.workspace_id == workspace_id
    )


def find(
    connection: Connection, workspace_id: UUID, identifier: UUID, *, lock: bool = False
) -> RowMapping | None:
    """Return a bulk change of the workspace, or None."""
    query = _found(workspace_id, identifier)
    return connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()


def page(
    connection: Connection, workspace_id: UUID, *, after: UUID | None, offset: int, limit: int
) -> tuple[Sequence[RowMapping], int]:
    """Return some bulk changes of the workspace, the latest first, and their number."""
    query = select(*_SHORT).where(bulk_changes.c.workspace_id == workspace_id)
    key = bulk_changes.c.id
    return pages.page(connection, query, key, after=after, offset=offset, limit=limit)


def running(connection: Connection, workspace_id: UUID) -> Sequence[RowMapping]:
    """Return the bulk changes of the workspace that are not over, the oldest first."""
    query = select(*_SHORT).where(
        bulk_changes.c.workspace_id == workspace_id, bulk_changes.c.state == BulkState.RUNNING
    )
    return connection.execute(query.order_by(bulk_changes.c.id)).mappings().all()


_NEXT = text("""
    SELECT c.id, c.workspace_id, c.created_by, c.key_id, c.next_at FROM bulk_changes c
     WHERE c.state = 'running'
       AND EXISTS (SELECT FROM workspaces w WHERE w.id = c.workspace_id AND w.purge_at IS NULL)
     ORDER BY c.next_at LIMIT 1""")


def next_due(connection: Connection) -> RowMapping | None:
    """Return the change that goes on first, and when. Those of a deleted workspace rest."""
    return connection.execute(_NEXT).mappings().one_or_none()


# SKIP LOCKED lets processes share the changes.
_CLAIM = text("""
    SELECT action, options, matched, handled, reasons, sample, results, next_at,
           job_ids[handled + 1 : handled + :limit] AS job_ids
      FROM bulk_changes
     WHERE id = :id AND state = 'running' AND next_at <= :now
       FOR UPDATE SKIP LOCKED""")


def claim(
    connection: Connection, identifier: UUID, *, limit: int, now: datetime
) -> RowMapping | None:
    """Lock a change that is due, and return it with its next jobs. None if it is not to be had."""
    parameters = {"id": identifier, "limit": limit, "now": now}
    return connection.execute(_CLAIM, parameters).mappings().one_or_none()


_ADVANCE = text("""
    UPDATE bulk_changes
       SET handled = handled + :handled, results = :results, reasons = :reasons,
           sample = :sample, next_at = :next_at, updated_at = :now
     WHERE id = :id""").bindparams(
    *(bindparam(name, type_=JSONB()) for name in ("results", "reasons", "sample"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkProgress:
    """How many more jobs have their result, and the sums of all results until now.

    ``results`` counts jobs by their outcome, ``reasons`` those that could not be changed.
    ``sample`` names some of the latter.
    """

    handled: int
    results: Mapping[str, int]
    reasons: Mapping[str, int]
    sample: Sequence[Mapping[str, str]]


def advance(
    connection: Connection,
    identifier: UUID,
    progress: BulkProgress,
    *,
    next_at: datetime,
    now: datetime,
) -> None:
    """Store how far a locked change has come, and when it goes on."""
    connection.execute(
        _ADVANCE,
        {
            "id": identifier,
            "handled": progress.handled,
            "results": dict(progress.results),
            "reasons": dict(progress.reasons),
            "sample": list(progress.sample),
            "next_at": next_at,
            "now": now,
        },
    )


# The ids have served. A change may have a million.
_FINISH = text("""
    UPDATE bulk_changes SET state = :state, stopped_because = :because, job_ids = '{}',
                            updated_at = :now, finished_at = :now
     WHERE id = :id""")


def finish(
    connection: Connection,
    identifier: UUID,
    state: BulkState,
    *,
    now: datetime,
    because: str | None = None,
) -> None:
    """End a locked change. ``because`` says why Chronos stopped it by itself."""
    parameters = {"id": identifier, "state": state, "because": because, "now": now}
    connection.execute(_FINISH, parameters)


_PRUNE = text("DELETE FROM bulk_changes WHERE finished_at < :before")


def prune(connection: Connection, *, before: datetime) -> None:
    """Remove changes that were over before ``before``."""
    connection.execute(_PRUNE, {"before": before})
