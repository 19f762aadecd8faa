"""The page of the audit log: who changed what, and when."""

from werkzeug.wrappers import Response as AnyResponse

from chronos_api.audit import service
from chronos_api.audit.schemas import AuditQuery, audit_filter
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.transactions import call
from chronos_api.ui.blueprint import blueprint, show
from chronos_api.ui.lists import query_of


@blueprint.get("/audit")
@requires(Role.OWNER, Scope.AUDIT_READ)
def audit() -> AnyResponse:
    """List the changes in the workspace, by the filters of the API in the address."""
    query = query_of(AuditQuery)
    loaded = query.loaded
    page = service.list_entries(
        call(),
        principal().workspace_id,
        audit_filter(loaded),
        page=loaded["page"],
        limit=loaded["limit"],
    )
    return show(
        "audit.html",
        rows=page.rows,
        total=page.total,
        next_cursor=page.source(loaded)["next_cursor"],
        query=query,
        actions=("job.*", "execution.*", "workspace.*", "member.*", "key.*", "user.*"),
    )
