"""Delete a workspace, and undo that."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from chronos_api.accounts import passwords
from chronos_api.security.access import Role
from chronos_api.security.authentication import WorkspaceNotFound
from chronos_api.transactions import Call, begin
from chronos_common.errors import Conflict, Forbidden
from chronos_common.storage.accounts import deletions
from chronos_common.storage.accounts import workspaces as rows

#: How long a deleted workspace can be restored.
GRACE = timedelta(days=7)

#: Jobs and executions that one transaction stops.
BATCH = 500


class AnotherName(Conflict):
    """The name that confirms the deletion is not that of the workspace of the request."""


def delete(call: Call, by: Call, *, name: str, current_password: str) -> Mapping[Any, Any]:
    """Delete the workspace of the request, stop its jobs, and return it.

    ``by`` is the call of the user. Raises :class:`AnotherName`, and
    :class:`~chronos_api.accounts.passwords.WrongPassword`.
    """
    passwords.confirm(by, current_password)
    with begin(call) as tx:
        tx.confirm_caller()
        row = rows.find(tx.connection, tx.workspace_id, lock=True)
        if row["name"] != name:
            raise AnotherName(f"{AnotherName.__doc__} It is {row['name']!r}.")
        purge_at = tx.now + GRACE
        deletions.mark(tx.connection, tx.workspace_id, purge_at=purge_at)
        tx.audit("workspace.delete", "workspace", {tx.workspace_id: {"name": name}})
    stop(call, call.workspace_id)
    return {**row, "purge_at": purge_at}


def stop(call: Call, workspace_id: UUID) -> None:
    """Pause the jobs of a deleted workspace, and cancel its executions that have not started.

    If this process ends meanwhile, the scheduler goes on.
    """
    while True:
        with begin(call) as tx:
            paused, cancelled = deletions.stop(
                tx.connection, workspace_id, batch=BATCH, now=tx.now
            )
            tx.moved(cancelled)
        if not paused and not cancelled:
            return


def restore(call: Call, workspace_id: UUID) -> Mapping[Any, Any]:
    """Undo the deletion of a workspace that the user owns, and return it.

    Raises :class:`WorkspaceNotFound` if it is not deleted or gone.
    """
    with begin(call) as tx:
        row = deletions.find_own(tx.connection, workspace_id, call.account.user_id)
        if row is None or row["purge_at"] <= tx.now:
            raise WorkspaceNotFound
        if row["role"] != Role.OWNER:
            raise Forbidden("Only an owner of the workspace can restore it.")
        deletions.mark(tx.connection, workspace_id, purge_at=None)
        details = {workspace_id: {"name": row["name"]}}
        tx.audit_in(workspace_id, "workspace.restore", "workspace", details)
        return {**row, "purge_at": None}
