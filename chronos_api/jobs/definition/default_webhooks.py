"""The workspace's default webhook: where payloads go that name no URL.

Such a payload is stored as it was written, and the address is looked up when it is sent. So a
changed default applies to every job that relies on it, from the next execution on.
"""

from collections.abc import Mapping
from typing import Any

from chronos_api.transactions import Session
from chronos_common.domain.payloads import DEFAULT_TYPE, uses_default
from chronos_common.storage.accounts import workspaces


def url_for(session: Session, fields: Mapping[str, Any]) -> str | None:
    """Return the default webhook if these fields of a job, not checked yet, rely on it."""
    payload = fields.get("payload")
    if not isinstance(payload, dict):
        return None
    if not uses_default(fields.get("type") or DEFAULT_TYPE, payload):
        return None
    url: str | None = workspaces.find(session.connection, session.workspace_id)[
        "default_webhook_url"
    ]
    return url
