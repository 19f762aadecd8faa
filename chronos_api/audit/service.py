"""Reads the audit log, for owners and the operator. Transactions append to it."""

from uuid import UUID

from chronos_api.fields.pagination import Page, first_of
from chronos_api.transactions import Call, reading
from chronos_common.storage import audit
from chronos_common.storage.audit import AuditFilter


def list_entries(
    call: Call, workspace_id: UUID | None, filters: AuditFilter, *, page: int, limit: int
) -> Page[UUID]:
    """Return a page of the log of a workspace, or of the installation (None)."""
    with reading(call) as session:
        rows, total = audit.page(
            session.connection, workspace_id, filters, offset=(page - 1) * limit, limit=limit + 1
        )
    return first_of(rows, total, limit)
