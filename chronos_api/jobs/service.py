"""Jobs: create, read, list and delete them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from chronos_api.audit import service as audit
from chronos_api.fields import cursors
from chronos_api.fields.count_cache import LongLists
from chronos_api.fields.pagination import Page, turned
from chronos_api.jobs import holdings, lifecycle, snapshots
from chronos_api.jobs.definition import definitions
from chronos_api.jobs.lifecycle import Versions
from chronos_api.transactions import Call, Session, Transaction, begin, reading
from chronos_api.workspaces import mail_permission
from chronos_common import ids
from chronos_common.domain.statuses import UNFINISHED, JobStatus
from chronos_common.errors import Invalid, JobNotFound
from chronos_common.storage.audit import AuditFilter
from chronos_common.storage.executions import history
from chronos_common.storage.jobs import insert, jobs, lists
from chronos_common.storage.jobs.filters import JobFilter
from chronos_common.storage.jobs.insert import NewJob
from chronos_common.storage.jobs.lists import Part, Position
from chronos_common.storage.pages import Count

_long_lists = LongLists()


def create(call: Call, fields: Mapping[str, Any]) -> RowMapping:
    """Store a new job and return it. Raises :class:`Invalid` with every wrong field."""
    with begin(call) as tx:
        return add(tx, fields)


def add(tx: Transaction, fields: Mapping[str, Any]) -> RowMapping:
    """Store a new job, as a part of the transaction, and return it. Raises :class:`Invalid`."""
    job_id = ids.new_id(tx.now)
    default_url = definitions.default_url_for(tx, fields)
    definition = definitions.define(fields, job_id=job_id, now=tx.now, default_url=default_url)
    mail_permission.check_job(tx, definition)
    first = definition.schedule.first_at_or_after(tx.now)
    row = insert.insert_one(
        tx.connection,
        NewJob(job_id, definition, first, first_status(fields.get("status"))),
        workspace_id=tx.workspace_id,
        created_by=tx.principal.user_id,
        now=tx.now,
    )
    tx.audit("job.create", "job", {job_id: {"name": definition.name}})
    tx.spend(holdings.of([row]))
    return row


def add_all(tx: Transaction, new: Sequence[NewJob], **details: Any) -> Sequence[RowMapping]:
    """Store checked jobs as a part of the transaction, and return them in the same order.

    ``details`` are those of each entry in the audit log, beside the name.
    """
    insert.insert_all(
        tx.connection,
        new,
        workspace_id=tx.workspace_id,
        created_by=tx.principal.user_id,
        now=tx.now,
    )
    entries = {each.id: {"name": each.definition.name, **details} for each in new}
    tx.audit("job.create", "job", entries)
    rows = jobs.find_many(tx.connection, tx.workspace_id, [each.id for each in new])
    tx.spend(holdings.of(rows))
    row_of = {row["id"]: row for row in rows}
    return [row_of[each.id] for each in new]


def first_status(wanted: object) -> JobStatus:
    """Return the status of a new job, checked by its schema. Raises :class:`Invalid`."""
    if wanted in (JobStatus.COMPLETED, JobStatus.CANCELLED):
        raise Invalid({"status": ["A new job is 'active' or 'paused'."]})
    return JobStatus.PAUSED if wanted == JobStatus.PAUSED else JobStatus.ACTIVE


def read(call: Call, job_id: UUID) -> RowMapping:
    """Return a job. Raises :class:`JobNotFound`."""
    with reading(call) as session:
        return find(session, job_id)


def find(session: Session, job_id: UUID) -> RowMapping:
    """Return a job, as a part of the session. Raises :class:`JobNotFound`."""
    row = jobs.find(session.connection, session.workspace_id, job_id)
    if row is None:
        raise JobNotFound
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class JobListing:
    """Which part of which list of jobs."""

    filters: JobFilter
    sort: str
    descending: bool
    page: int
    limit: int
    after: Position | None = None
    is_back: bool = False

    @classmethod
    def of(cls, filters: JobFilter, query: Mapping[str, Any]) -> Self:
        """Return the part of the list that ``query`` asks for. Raises :class:`Invalid`."""
        sort, cursor = query["sort"].removeprefix("-"), query.get("cursor")
        return cls(
            filters=filters,
            sort=sort,
            descending=query["sort"].startswith("-"),
            page=query["page"],
            limit=query["limit"],
            after=cursors.read_position(cursors.place_of(cursor), sort),
            is_back=cursors.is_back(cursor),
        )

    @property
    def part(self) -> Part:
        """Return the part of the list."""
        return Part(
            sort=self.sort,
            descending=self.descending,
            limit=self.limit,
            offset=(self.page - 1) * self.limit,
            after=self.after,
            is_back=self.is_back,
        )


def list_jobs(call: Call, listing: JobListing) -> Page[Position]:
    """Return a page of the workspace's jobs.

    With a filter by the last outcome, the total is known only if the page holds all of them.
    """
    part = listing.part
    with reading(call) as session:
        whole_list = session.connection, session.workspace_id, listing.filters
        is_common = lists.are_common(*whole_list)
        page = lists.page(*whole_list, replace(part, is_common=is_common))
        is_first = part.after is None and part.offset == 0
        if is_first and page.last is None:
            return Page(page.rows, len(page.rows), None)
        count = _count(*whole_list, is_common=is_common)
    is_exact = count.is_exact and listing.filters.last_outcome is None
    rows, first, last = turned(
        page.rows,
        lambda row: lists.position_of(row, part.sort),
        last=page.last,
        is_back=part.is_back,
        is_first=is_first,
    )
    return Page(rows, count.number, last, is_exact, first)


def _count(
    connection: Connection, workspace_id: UUID, filters: JobFilter, *, is_common: bool
) -> Count:
    return _long_lists.count(
        (workspace_id, filters),
        lambda: lists.count(connection, workspace_id, filters, is_common=is_common),
    )


def delete(call: Call, job_id: UUID, *, expected: Versions) -> None:
    """Remove a job: unstarted executions are cancelled, and its history stays readable."""
    with begin(call) as tx:
        lifecycle.delete(tx, [lifecycle.lock_one(tx, job_id, expected)])


def list_changes(
    call: Call, job_id: UUID, *, before: UUID | None, page: int, limit: int
) -> Page[UUID]:
    """Return a page of the changes of a job, which may be deleted. Raises :class:`JobNotFound`."""
    with reading(call) as session:
        place = session.connection, session.workspace_id, job_id
        if jobs.find(*place) is None and jobs.find_deleted(*place) is None:
            raise JobNotFound
    filters = AuditFilter(subject_type="job", subject_id=job_id, before=before)
    return audit.list_entries(call, call.workspace_id, filters, page=page, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOverview:
    """A job's status, its unfinished executions by status, and its latest execution."""

    id: UUID
    name: str
    status: str
    next_run_at: datetime | None
    unfinished: Mapping[str, int]
    latest_execution: RowMapping | None


def overview(call: Call, job_id: UUID) -> JobOverview:
    """Return the overview of a job. Raises :class:`JobNotFound`."""
    with reading(call) as session:
        row = find(session, job_id)
        return _overview(session, row, next_run_at=snapshots.next_run(row, now=call.now))


def overview_of_any(call: Call, job_id: UUID) -> JobOverview:
    """Return the overview of a job, which may be deleted. Raises :class:`JobNotFound`."""
    try:
        return overview(call, job_id)
    except JobNotFound:
        with reading(call) as session:
            row = jobs.find_deleted(session.connection, session.workspace_id, job_id)
            if row is None:
                raise
            return _overview(session, row, next_run_at=None)


def _overview(session: Session, row: RowMapping, *, next_run_at: datetime | None) -> JobOverview:
    connection, workspace_id = session.connection, session.workspace_id
    unfinished = history.count_unfinished_of(connection, row["id"])
    return JobOverview(
        id=row["id"],
        name=row["name"],
        status=row["status"],
        next_run_at=next_run_at,
        unfinished={status: unfinished.get(status, 0) for status in sorted(UNFINISHED)},
        latest_execution=history.latest_of(connection, workspace_id, row["id"]),
    )
