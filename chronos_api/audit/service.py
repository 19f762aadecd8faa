"""The audit log: the details that an entry holds, and pages of entries.

``chronos_api.transactions`` writes the entries. They hold no secrets and no long values.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from chronos_api.fields.pagination import Page, read_page
from chronos_api.transactions import Call, reading
from chronos_common.domain.jobs import is_same_json
from chronos_common.storage import audit
from chronos_common.storage.audit import AuditFilter

#: A value that is longer than this, as JSON, is left out.
MAX_VALUE_LENGTH = 4096

LEFT_OUT = "[too long]"


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that differ, before and after. Neither state may hold secrets."""
    names = sorted(
        name
        for name in before.keys() | after.keys()
        if not is_same_json(before.get(name), after.get(name))
    )
    return {
        "before": bounded({name: before.get(name) for name in names}),
        "after": bounded({name: after.get(name) for name in names}),
    }


def bounded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fields``, without values that are too long for the log."""
    return {
        name: value if len(json.dumps(value, default=str)) <= MAX_VALUE_LENGTH else LEFT_OUT
        for name, value in fields.items()
    }


def list_entries(
    call: Call, workspace_id: UUID | None, filters: AuditFilter, *, page: int, limit: int
) -> Page[UUID]:
    """Return a page of the log of a workspace, or of the installation (None)."""
    with reading(call) as session:
        query = partial(audit.page, session.connection, workspace_id, filters)
        return read_page(query, page=page, limit=limit)
