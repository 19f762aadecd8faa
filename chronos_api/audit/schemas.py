"""The audit log."""

from marshmallow import Schema, fields
from marshmallow.validate import Regexp

from chronos_api.fields.fields import Instant, Text
from chronos_api.fields.pagination import PageQuery, page_of

_ACTION = r"^[a-z_]{1,30}\.([a-z_]{1,40}|\*)$"


class AuditQuery(PageQuery):
    """Which entries of the log."""

    action = Text(
        longest=80,
        validate=Regexp(_ACTION, error="Must be like job.pause, or job.* for all about jobs."),
        metadata={
            "description": "What was done, or job.* for all that was done to jobs",
            "examples": ["job.*"],
            "pattern": _ACTION,
        },
    )
    subject_type = Text(
        longest=30, metadata={"description": "What was changed", "examples": ["job"]}
    )
    subject_id = fields.UUID(metadata={"description": "The id of what was changed"})
    user_id = fields.UUID(metadata={"description": "Who changed it"})
    key_id = fields.UUID(metadata={"description": "With which API key"})
    since = Instant(metadata={"description": "From this instant on"})
    until = Instant(metadata={"description": "Before this instant"})


class AuditEntry(Schema):
    """A change: who did what to which thing."""

    id = fields.UUID(required=True)
    at = Instant(required=True)
    action = fields.String(required=True, metadata={"examples": ["job.update"]})
    user_id = fields.UUID(required=True, allow_none=True)
    user_email = fields.String(required=True, allow_none=True)
    key_id = fields.UUID(
        required=True,
        allow_none=True,
        metadata={"description": "The API key that the user acted with"},
    )
    subject_type = fields.String(required=True)
    subject_id = fields.UUID(required=True)
    details = fields.Dict(
        required=True,
        metadata={"description": "Of an update, before and after of what differs; no secrets"},
    )


AuditPage = page_of(AuditEntry, "AuditPage")
