"""The workspace's default webhook: where payloads go that name no URL.

Such a payload is stored as it was written, and the address is looked up when it is sent. So a
changed default applies to every job that relies on it, from the next execution on.
"""

from collections.abc import Mapping
from typing import Any

from chronos_api.transactions import Session
from chronos_common.domain import payloads
from chronos_common.domain.jobs import JobType
from chronos_common.storage.accounts import workspaces


def url_for(session: Session, fields: Mapping[str, Any]) -> str | None:
    """Return the default webhook if these fields of a job, not checked yet, rely on it."""
    payload = fields.get("payload")
    is_webhook = (fields.get("type") or JobType.WEBHOOK) == JobType.WEBHOOK
    if not is_webhook or not isinstance(payload, dict):
        return None
    if not payloads.uses_default(JobType.WEBHOOK, payload):
        return None
    url: str | None = workspaces.find(session.connection, session.workspace_id)[
        "default_webhook_url"
    ]
    return url
