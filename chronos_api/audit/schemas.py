"""The audit log."""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields
from marshmallow.validate import Regexp

from chronos_api.fields import cursors
from chronos_api.fields.base import Answer
from chronos_api.fields.fields import Instant, Text
from chronos_api.fields.pagination import PageQuery, filter_of, page_of
from chronos_common.storage.audit import AuditFilter

_ACTION = r"^[a-z_]{1,30}\.([a-z_]{1,40}|\*)$"


class AuditQuery(PageQuery):
    """Which entries of the log."""

    conditions = AuditFilter

    action = Text(
        longest=80,
        validate=Regexp(_ACTION, error="Must be like job.pause, or job.* for all about jobs."),
        metadata={
            "description": "The kind of change, or job.* for all changes of jobs",
            "examples": ["job.*"],
            "pattern": _ACTION,
        },
    )
    subject_type = Text(
        longest=30,
        metadata={"description": "The kind of thing that was changed", "examples": ["job"]},
    )
    subject_id = fields.UUID(metadata={"description": "The id of the thing that was changed"})
    user_id = fields.UUID(metadata={"description": "Who changed it"})
    key_id = fields.UUID(metadata={"description": "With which API key"})
    since = Instant(metadata={"description": "From this instant on"})
    until = Instant(metadata={"description": "Before this instant"})


class AuditEntry(Answer):
    """A change, its author and its subject."""

    id = fields.UUID()
    at = Instant()
    action = fields.String(metadata={"examples": ["job.update"]})
    user_id = fields.UUID(allow_none=True)
    user_email = fields.String(allow_none=True)
    key_id = fields.UUID(
        allow_none=True, metadata={"description": "The API key that the user acted with"}
    )
    subject_type = fields.String()
    subject_id = fields.UUID()
    details = fields.Dict(
        metadata={
            "description": "Of an update, the fields that differ, before and after. No secrets"
        }
    )


def audit_filter(query: Mapping[str, Any]) -> AuditFilter:
    """Return the filter that ``query`` asks for. Raises :class:`Invalid`."""
    return filter_of(AuditFilter, query, before=cursors.read(query.get("cursor")))


AuditPage = page_of(AuditEntry, "AuditPage")
