"""The quotas of a workspace: its use of them, and the bounds that the operator gives it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from chronos_api import leases
from chronos_api.context import current
from chronos_api.transactions import Call, Session, begin, reading
from chronos_common.errors import NotFound
from chronos_common.quotas import ALL, BY_NAME, Quota, Use
from chronos_common.storage import quotas
from chronos_common.storage.accounts import workspaces

#: The quotas that can have another bound for one workspace.
RAISABLE = tuple(each for each in ALL if each.kind != "size" and not each.is_of_user)


class WorkspaceUnknown(NotFound):
    """There is no such workspace."""


def own(call: Call) -> Sequence[Use]:
    """Return every quota of the workspace of the request, with its bound and its use."""
    with reading(call) as session:
        return _of_workspace(session, session.workspace_id)


def _of_workspace(session: Session, workspace_id: UUID) -> Sequence[Use]:
    found = quotas.of_workspace(
        session.connection, workspace_id, settings=current().settings, now=session.now
    )
    return [_with_open(each, workspace_id) for each in found]


def _with_open(use: Use, workspace_id: UUID) -> Use:
    if use.quota.kind != "open" or use.quota.is_of_user:
        return use
    return replace(use, used=leases.number_open(use.quota, workspace_id))


def read(call: Call, workspace_id: UUID) -> Sequence[Use]:
    """Return the quotas of any workspace, for the operator."""
    with reading(call) as session:
        _check(session, workspace_id)
        return _of_workspace(session, workspace_id)


def set_bounds(call: Call, workspace_id: UUID, bounds: Mapping[str, int | None]) -> Sequence[Use]:
    """Give a workspace bounds of its own, by the names of quotas, and return its quotas.

    None stands for the bound of the setting. Quotas that are left out stay.
    """
    with begin(call) as tx:
        _check(tx, workspace_id)
        for name, bound in sorted(bounds.items()):
            quota: Quota = BY_NAME[name]
            quotas.set_bound(tx.connection, workspace_id, quota, bound)
        if bounds:
            tx.audit_in(None, "workspace.quotas", "workspace", {workspace_id: dict(bounds)})
        return _of_workspace(tx, workspace_id)


def _check(session: Session, workspace_id: UUID) -> None:
    if not workspaces.exists(session.connection, workspace_id):
        raise WorkspaceUnknown
