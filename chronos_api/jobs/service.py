"""Jobs: create, read, list, delete, and where one stands. Changes are in ``job_changes``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from chronos_api.fields import cursors
from chronos_api.fields.count_cache import LongLists
from chronos_api.fields.pagination import Page
from chronos_api.jobs import missed, snapshots
from chronos_api.jobs.definition import default_webhooks, definitions
from chronos_api.security.access import Principal
from chronos_common import ids
from chronos_common.domain.statuses import UNFINISHED, JobStatus, Reason
from chronos_common.errors import Invalid, JobNotFound, VersionConflict
from chronos_common.storage import audit
from chronos_common.storage.executions import history, statistics
from chronos_common.storage.jobs import insert, jobs, lists, schedules
from chronos_common.storage.jobs.filters import JobFilter
from chronos_common.storage.jobs.insert import NewJob
from chronos_common.storage.jobs.lists import Part, Position
from chronos_common.storage.postgres.database import reading, transaction

#: The versions that a change may be based on; None if any.
Versions = frozenset[int] | None

_long_lists = LongLists()


def create(
    engine: Engine, who: Principal, fields: Mapping[str, Any], *, now: datetime
) -> RowMapping:
    """Store a new job and return it. Raises :class:`Invalid` with every wrong field."""
    with transaction(engine) as connection:
        return add(connection, who, fields, now=now)


def add(
    connection: Connection, who: Principal, fields: Mapping[str, Any], *, now: datetime
) -> RowMapping:
    """Store a new job, as a part of the transaction, and return it. Raises :class:`Invalid`."""
    job_id = ids.new_id(now)
    default_url = default_webhooks.url_for(connection, who.workspace_id, fields)
    definition = definitions.define(fields, job_id=job_id, now=now, default_url=default_url)
    first = definition.schedule.first_at_or_after(now)
    row = insert.insert_one(
        connection,
        NewJob(job_id, definition, first, first_status(fields.get("status"))),
        workspace_id=who.workspace_id,
        created_by=who.user_id,
        now=now,
    )
    note(connection, who, "job.create", job_id, {"name": definition.name}, now=now)
    return row


def first_status(wanted: object) -> JobStatus:
    """Return the status of a new job, checked by its schema. Raises :class:`Invalid`."""
    if wanted in (JobStatus.COMPLETED, JobStatus.CANCELLED):
        raise Invalid({"status": ["A new job is 'active' or 'paused'."]})
    return JobStatus.PAUSED if wanted == JobStatus.PAUSED else JobStatus.ACTIVE


def read(engine: Engine, who: Principal, job_id: UUID) -> RowMapping:
    """Return a job. Raises :class:`JobNotFound`."""
    with reading(engine) as connection:
        return _found(connection, who, job_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobListing:
    """Which part of which list of jobs."""

    filters: JobFilter
    sort: str
    descending: bool
    page: int
    limit: int
    after: Position | None = None

    @classmethod
    def of(cls, filters: JobFilter, query: Mapping[str, Any]) -> Self:
        """Return the part of the list that ``query`` asks for. Raises :class:`Invalid`."""
        sort = query["sort"].removeprefix("-")
        return cls(
            filters=filters,
            sort=sort,
            descending=query["sort"].startswith("-"),
            page=query["page"],
            limit=query["limit"],
            after=cursors.read_position(query.get("cursor"), sort),
        )

    @property
    def part(self) -> Part:
        """Which part of the list that is."""
        return Part(
            sort=self.sort,
            descending=self.descending,
            limit=self.limit,
            offset=(self.page - 1) * self.limit,
            after=self.after,
        )


def list_jobs(engine: Engine, who: Principal, wanted: JobListing) -> Page[Position]:
    """Return a page of the workspace's jobs.

    With a filter by the last outcome, the total is known only if the page holds all of them.
    """
    part = wanted.part
    with reading(engine) as connection:
        of_workspace = connection, who.workspace_id, wanted.filters
        is_common = lists.are_common(*of_workspace)
        found = lists.page(*of_workspace, replace(part, is_common=is_common))
        is_whole = part.after is None and part.offset == 0 and found.last is None
        count = len(found.rows) if is_whole else _count(*of_workspace, is_common=is_common)
    is_exact = is_whole or (count <= lists.MAX_COUNT and wanted.filters.last_outcome is None)
    return Page(found.rows, min(count, lists.MAX_COUNT), found.last, is_exact)


def _count(
    connection: Connection, workspace_id: UUID, filters: JobFilter, *, is_common: bool
) -> int:
    """Return how many jobs there are, or one more than anyone counts."""
    return _long_lists.count(
        (workspace_id, filters),
        lambda: lists.count(connection, workspace_id, filters, is_common=is_common),
        most=lists.MAX_COUNT,
    )


def delete(
    engine: Engine, who: Principal, job_id: UUID, *, expected: Versions, now: datetime
) -> None:
    """Remove a job; what had not started is cancelled, its history stays readable."""
    with transaction(engine) as connection:
        row = locked(connection, who, job_id, expected)
        missed.settle(connection, row, reason=Reason.DELETED, now=now)
        stop(connection, job_id, reason=Reason.DELETED, now=now)
        jobs.delete(connection, job_id, now=now)
        note(connection, who, "job.delete", job_id, snapshots.differences(row, None), now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOverview:
    """A job's status, its unfinished executions by status, and its latest execution."""

    id: UUID
    name: str
    status: str
    next_run_at: datetime | None
    unfinished: Mapping[str, int]
    latest_execution: RowMapping | None


def overview(engine: Engine, who: Principal, job_id: UUID, *, now: datetime) -> JobOverview:
    """Return the overview of a job. Raises :class:`JobNotFound`."""
    with reading(engine) as connection:
        row = _found(connection, who, job_id)
        return _overview(connection, who, row, next_run_at=snapshots.next_run(row, now=now))


def overview_of_any(engine: Engine, who: Principal, job_id: UUID, *, now: datetime) -> JobOverview:
    """Return the overview of a job, which may be deleted. Raises :class:`JobNotFound`."""
    try:
        return overview(engine, who, job_id, now=now)
    except JobNotFound:
        with reading(engine) as connection:
            row = jobs.find_deleted(connection, who.workspace_id, job_id)
            if row is None:
                raise
            return _overview(connection, who, row, next_run_at=None)


def _overview(
    connection: Connection, who: Principal, row: RowMapping, *, next_run_at: datetime | None
) -> JobOverview:
    unfinished = history.count_unfinished_of(connection, row["id"])
    return JobOverview(
        id=row["id"],
        name=row["name"],
        status=row["status"],
        next_run_at=next_run_at,
        unfinished={status: unfinished.get(status, 0) for status in sorted(UNFINISHED)},
        latest_execution=history.latest_of(connection, who.workspace_id, row["id"]),
    )


def _found(connection: Connection, who: Principal, job_id: UUID) -> RowMapping:
    row = jobs.find(connection, who.workspace_id, job_id)
    if row is None:
        raise JobNotFound
    return row


def locked(connection: Connection, who: Principal, job_id: UUID, expected: Versions) -> RowMapping:
    """Return a job that nobody else changes, plans or deletes until the transaction ends.

    Every change locks in this order: the job, its schedule, its executions. What the schedule
    holds is read once it is locked. Raises :class:`JobNotFound` and :class:`VersionConflict`.
    """
    row = jobs.find(connection, who.workspace_id, job_id, lock=True)
    if row is None:
        raise JobNotFound
    if expected is not None and row["version"] not in expected:
        raise VersionConflict
    schedules.lock(connection, job_id)
    return _found(connection, who, job_id)


def stop(connection: Connection, job_id: UUID, *, reason: Reason, now: datetime) -> None:
    """Plan the job no more, and end what was planned but has not started."""
    schedules.deactivate(connection, job_id)
    ended = history.cancel_unstarted(connection, job_id, reason=reason, now=now)
    statistics.add(connection, ended, now=now)


def note(
    connection: Connection,
    who: Principal,
    action: str,
    job_id: UUID,
    details: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    """Append to the audit log that ``who`` did ``action`` to a job."""
    note_all(connection, who, action, {job_id: details}, now=now)


def note_all(
    connection: Connection,
    who: Principal,
    action: str,
    details: Mapping[UUID, Mapping[str, Any]],
    *,
    now: datetime,
    subject_type: str = "job",
) -> None:
    """Append to the audit log that ``who`` did ``action`` to each of these."""
    audit.append_all(
        connection,
        workspace_id=who.workspace_id,
        user_id=who.user_id,
        key_id=who.key_id,
        action=action,
        subject_type=subject_type,
        details=details,
        now=now,
    )
