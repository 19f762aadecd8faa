"""The statements on ``audit_log``: who changed what, appended and never changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from chronos_common import ids
from chronos_common.storage.tables import audit_log


def append(
    connection: Connection,
    *,
    workspace_id: UUID,
    user_id: UUID | None,
    action: str,
    subject_type: str,
    subject_id: UUID,
    details: Mapping[str, Any],
    now: datetime,
) -> None:
    """Note a change, in its transaction; ``action`` is like "job.pause", without secrets."""
    connection.execute(
        insert(audit_log).values(
            id=ids.new_id(now),
            workspace_id=workspace_id,
            user_id=user_id,
            action=action,
            subject_type=subject_type,
            subject_id=subject_id,
            details=dict(details),
            at=now,
        )
    )
