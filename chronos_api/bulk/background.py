"""Bulk changes in the background: start them, look at them, end them.

``runner`` carries them out.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from flask import current_app
from sqlalchemy import RowMapping, Select

from chronos_api.bulk import runner
from chronos_api.bulk.changes import MAX_MATCHED, JobsChange
from chronos_api.fields.pagination import Page, read_page
from chronos_api.jobs.changes import pause_of
from chronos_api.jobs.schemas import JobChoice
from chronos_api.transactions import Call, Session, Transaction, begin, reading
from chronos_common.errors import Conflict, Invalid, NotFound
from chronos_common.storage import bulk_changes
from chronos_common.storage.bulk_changes import BulkState, NewBulkChange
from chronos_common.storage.jobs import lists

#: Changes of a workspace that are not over.
MAX_OPEN = 2


class BulkChangeNotFound(NotFound):
    """There is no such bulk change in this workspace."""


class TooManyBulkChanges(Conflict):
    """Two bulk changes are under way in this workspace. Wait for one, or cancel it."""


def start(call: Call, change: JobsChange, *, expected: int | None = None) -> RowMapping:
    """Begin a change in the background, and return it.

    Raises :class:`TooManyBulkChanges`, :class:`Invalid` if no job matches or more than
    :data:`MAX_MATCHED` do, and :class:`Conflict` if their number is not the ``expected`` one.
    """
    with begin(call) as tx:
        pause_of(tx, change.note, change.until)
        if bulk_changes.count_open(tx.connection, tx.workspace_id) >= MAX_OPEN:
            raise TooManyBulkChanges
        conditions = _conditions(change)
        new = NewBulkChange(
            action=change.action,
            options=runner.written(change),
            filter=conditions,
            created_by=tx.principal.user_id,
            key_id=tx.principal.key_id,
        )
        row = bulk_changes.add(
            tx.connection, tx.workspace_id, new, _jobs_of(tx, change), now=tx.now
        )
        _check_number(row["matched"], change, expected)
        details = {"change": change.action, "matched": row["matched"], "filter": conditions}
        tx.audit("bulk.start", "bulk_change", {row["id"]: details})
    runner.of(current_app).hint()
    return row


def _conditions(change: JobsChange) -> dict[str, Any] | None:
    """Return the filter as the API has it."""
    if change.filters is None:
        return None
    given: Mapping[str, Any] = JobChoice().dump(change.filters)
    return {name: value for name, value in given.items() if value is not None}


def _jobs_of(session: Session, change: JobsChange) -> Sequence[UUID] | Select[Any]:
    if change.filters is None:
        return list(dict.fromkeys(change.ids or ()))
    return lists.matching_query(
        session.connection, session.workspace_id, change.filters, at_most=MAX_MATCHED + 1
    )


def _check_number(matched: int, change: JobsChange, expected: int | None) -> None:
    given = "ids" if change.filters is None else "filter"
    if not matched:
        raise Invalid({given: ["Matches no job."]})
    if matched > MAX_MATCHED:
        raise Invalid({given: [f"Matches more than {MAX_MATCHED:,} jobs; narrow it."]})
    if expected is not None and matched != expected:
        raise Conflict(
            f"The number of jobs that match is {matched:,} now instead of {expected:,}; make "
            "another dry run."
        )


def list_changes(call: Call, *, after: UUID | None, page: int, limit: int) -> Page[UUID]:
    """Return a page of the workspace's bulk changes, the latest first."""
    with reading(call) as session:
        query = partial(bulk_changes.page, session.connection, session.workspace_id, after=after)
        return read_page(query, page=page, limit=limit)


def list_under_way(call: Call) -> Sequence[RowMapping]:
    """Return the workspace's bulk changes that are not over."""
    with reading(call) as session:
        return bulk_changes.running(session.connection, session.workspace_id)


def read(call: Call, identifier: UUID) -> RowMapping:
    """Return a bulk change. Raises :class:`BulkChangeNotFound`."""
    with reading(call) as session:
        row = _find(session, identifier)
    if row["state"] == BulkState.RUNNING:
        # The process that carried it out may have ended.
        runner.of(current_app).hint()
    return row


def cancel(call: Call, identifier: UUID) -> RowMapping:
    """End a change, and return it. Jobs that it has changed stay so.

    A second call changes nothing. Raises :class:`BulkChangeNotFound`, and :class:`Conflict` if it
    is done.
    """
    with begin(call) as tx:
        row = _find(tx, identifier, lock=True)
        if row["state"] == BulkState.CANCELLED:
            return row
        if row["state"] == BulkState.DONE:
            raise Conflict("The bulk change is done already; there is nothing to cancel.")
        bulk_changes.finish(tx.connection, identifier, BulkState.CANCELLED, now=tx.now)
        _audit_end(tx, row)
        return _find(tx, identifier)


def _audit_end(tx: Transaction, row: RowMapping) -> None:
    details = {"change": row["action"], "handled": row["handled"], "matched": row["matched"]}
    tx.audit("bulk.cancel", "bulk_change", {row["id"]: details})


def _find(session: Session, identifier: UUID, *, lock: bool = False) -> RowMapping:
    row = bulk_changes.find(session.connection, session.workspace_id, identifier, lock=lock)
    if row is None:
        raise BulkChangeNotFound
    return row
