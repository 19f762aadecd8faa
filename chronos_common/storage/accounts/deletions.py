"""The deletion of a workspace, in steps of bounded size.

1. The API marks it with the instant of its purge. From then on nobody works in it, and an owner
   may undo that.
2. The API, and the scheduler after it, pause its jobs and cancel its executions that no worker has
   started. Those under way end as usual.
3. From that instant on the scheduler removes the rows of each table, and the workspace at last.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, select, text, tuple_, update

from chronos_common.domain.executions import Moved
from chronos_common.domain.jobs import Pause
from chronos_common.domain.statuses import Reason
from chronos_common.storage.executions import history
from chronos_common.storage.jobs import jobs, schedules
from chronos_common.storage.tables import memberships, metadata, workspaces
from chronos_common.storage.tables import schedules as schedules_table

#: The tables with rows of workspaces, in the order of their deletion. A schedule is removed with
#: its job, because no index finds the schedules of a workspace.
TABLES: Final = [
    table
    for table in reversed(metadata.sorted_tables)
    if "workspace_id" in table.c and table is not schedules_table
]


def mark(connection: Connection, workspace_id: UUID, *, purge_at: datetime | None) -> None:
    """Delete a workspace whose rows are removed from ``purge_at`` on. None undoes that."""
    query = update(workspaces).where(workspaces.c.id == workspace_id)
    connection.execute(query.values(purge_at=purge_at))


def find_own(connection: Connection, workspace_id: UUID, user_id: UUID) -> RowMapping | None:
    """Lock the deleted workspace and return it with the member's role, or None."""
    query = (
        select(workspaces, memberships.c.role)
        .join(memberships, memberships.c.workspace_id == workspaces.c.id)
        .where(
            workspaces.c.id == workspace_id,
            memberships.c.user_id == user_id,
            workspaces.c.purge_at.is_not(None),
        )
        .with_for_update(of=workspaces, key_share=True)
    )
    return connection.execute(query).mappings().one_or_none()


_ACTIVE = text("""
    SELECT id FROM jobs
     WHERE workspace_id = :workspace_id AND status = 'active' AND deleted_at IS NULL
     ORDER BY id LIMIT :batch FOR UPDATE""")


def stop(
    connection: Connection, workspace_id: UUID, *, batch: int, now: datetime
) -> tuple[int, list[Moved]]:
    """Pause some jobs of a workspace, and cancel some executions that no worker has started.

    Return how many jobs, and the executions. With none of both, the workspace is still.
    """
    parameters = {"workspace_id": workspace_id, "batch": batch}
    active = connection.execute(_ACTIVE, parameters).scalars().all()
    schedules.lock(connection, active)
    schedules.deactivate(connection, active)
    jobs.pause(connection, active, Pause(note="The workspace was deleted"), now=now)
    cancelled = history.cancel_unstarted_in(
        connection, workspace_id, reason=Reason.DELETED, batch=batch, now=now
    )
    return len(active), cancelled


_MARKED = text("SELECT id FROM workspaces WHERE purge_at IS NOT NULL ORDER BY purge_at")


def marked(connection: Connection) -> Sequence[UUID]:
    """Return the deleted workspaces, the next one to purge first."""
    return connection.execute(_MARKED).scalars().all()


_LOCK_DUE = text("""
    SELECT name FROM workspaces w
     WHERE id = :id AND purge_at <= :now
       AND NOT EXISTS (SELECT FROM executions e
                        WHERE e.workspace_id = w.id AND e.finished_at IS NULL)
       FOR UPDATE SKIP LOCKED""")


def lock_due(connection: Connection, workspace_id: UUID, *, now: datetime) -> str | None:
    """Lock a workspace and return its name. None if it is not to be purged now."""
    parameters = {"id": workspace_id, "now": now}
    return connection.execute(_LOCK_DUE, parameters).scalar_one_or_none()


def purge(connection: Connection, workspace_id: UUID, *, batch: int) -> bool:
    """Remove some rows of a locked workspace. Return whether nothing is left of it."""
    for table in TABLES:
        key = tuple_(*table.primary_key.columns)
        some = select(*table.primary_key.columns).where(table.c.workspace_id == workspace_id)
        if connection.execute(delete(table).where(key.in_(some.limit(batch)))).rowcount:
            return False
    connection.execute(delete(workspaces).where(workspaces.c.id == workspace_id))
    return True
