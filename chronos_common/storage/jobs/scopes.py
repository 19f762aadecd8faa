"""The statements on the jobs that a scope of jobs as code owns.

An apply locks its scope, then the names of the jobs that it does not own yet, then their rows.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, bindparam, or_, select, text, update

from chronos_common.domain.jobs import Ownership
from chronos_common.storage.jobs.jobs import SCHEDULE_COLUMNS
from chronos_common.storage.tables import jobs, schedules

#: The unmanaged jobs and those of other scopes that are looked at for one name.
NAMESAKES = 3

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:scope, 0))")


def lock(connection: Connection, workspace_id: UUID, scope: str) -> None:
    """Let other applies of the scope wait until this transaction ends."""
    connection.execute(_LOCK, {"scope": f"scope:{workspace_id}:{scope}"})


# In one order, so that two applies cannot wait for each other. As in jobs.find_all_named.
_LOCK_NAMES = text("""
    SELECT pg_advisory_xact_lock(hash) FROM (
        SELECT DISTINCT hashtextextended(:workspace || name, 0) AS hash
          FROM unnest(CAST(:names AS text[])) AS name ORDER BY hash) AS hashes""")


def lock_names(connection: Connection, workspace_id: UUID, names: Collection[str]) -> None:
    """Let others who create or replace jobs by these names wait until this transaction ends."""
    if names:
        connection.execute(_LOCK_NAMES, {"workspace": f"{workspace_id}:", "names": list(names)})


_WHOLE = (
    select(*jobs.c, *SCHEDULE_COLUMNS)
    .join(schedules, schedules.c.job_id == jobs.c.id)
    .where(jobs.c.workspace_id == bindparam("workspace_id"), jobs.c.deleted_at.is_(None))
    .order_by(jobs.c.id)
)

_NAMESAKES = text("""
    SELECT found.id FROM unnest(CAST(:names AS text[])) AS wanted (name)
     CROSS JOIN LATERAL (
        SELECT id FROM jobs
         WHERE workspace_id = :workspace_id AND deleted_at IS NULL AND name = wanted.name
           AND scope IS DISTINCT FROM :scope
         ORDER BY scope IS NOT NULL, id LIMIT :namesakes) AS found""")


def owned(
    connection: Connection, workspace_id: UUID, scope: str, *, lock: bool
) -> Sequence[RowMapping]:
    """Return the scope's jobs with their schedules, locked until the transaction ends if asked."""
    query = _WHOLE.where(jobs.c.scope == scope)
    query = query.with_for_update(of=jobs) if lock else query
    return connection.execute(query, {"workspace_id": workspace_id}).mappings().all()


def adoptable(
    connection: Connection,
    workspace_id: UUID,
    scope: str,
    *,
    names: Collection[str],
    job_ids: Collection[UUID],
    lock: bool,
) -> Sequence[RowMapping]:
    """Return jobs beside the scope that have these names or ids, locked if asked.

    Of each name there are at most :data:`NAMESAKES`, those without a scope first.
    """
    parameters = {
        "workspace_id": workspace_id,
        "scope": scope,
        "names": sorted(names),
        "namesakes": NAMESAKES,
    }
    namesakes = connection.execute(_NAMESAKES, parameters).scalars().all()
    wanted = [*namesakes, *job_ids]
    query = _WHOLE.where(jobs.c.id.in_(wanted), or_(jobs.c.scope.is_(None), jobs.c.scope != scope))
    query = query.with_for_update(of=jobs) if lock else query
    return connection.execute(query, {"workspace_id": workspace_id}).mappings().all()


def adopt(connection: Connection, ownerships: Mapping[UUID, Ownership], *, now: datetime) -> None:
    """Give locked jobs to a scope, as the next version of each."""
    _own(connection, ownerships, {"version": jobs.c.version + 1, "updated_at": now})


def remember(connection: Connection, ownerships: Mapping[UUID, Ownership]) -> None:
    """Store the applied definitions of jobs that their scope owns already."""
    _own(connection, ownerships, {})


def _own(
    connection: Connection, ownerships: Mapping[UUID, Ownership], more: Mapping[str, object]
) -> None:
    if not ownerships:
        return
    connection.execute(
        update(jobs)
        .where(jobs.c.id == bindparam("job_id"))
        .values(
            scope=bindparam("of_scope"),
            scope_key=bindparam("of_key"),
            applied=bindparam("as_applied"),
            **more,
        ),
        [
            {
                "job_id": job_id,
                "of_scope": each.scope,
                "of_key": each.key,
                "as_applied": each.applied,
            }
            for job_id, each in ownerships.items()
        ],
    )
