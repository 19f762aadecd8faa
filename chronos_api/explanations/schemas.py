"""Why an instant ran or did not."""

from marshmallow import fields

from chronos_api.explanations.service import Verdict
from chronos_api.fields.base import Strict, ValueAnswer
from chronos_api.fields.fields import Instant, OneOf
from chronos_common.domain.statuses import Reason, Status, Trigger


class WhyQuery(Strict):
    """The instant that is asked for."""

    at = Instant(
        required=True,
        metadata={
            "description": "The instant. If it is a whole second, all of the second is meant",
            "examples": ["2026-11-21T09:00:00Z"],
        },
    )


class RecordAnswer(ValueAnswer):
    """The record that answers the question."""

    id = fields.UUID()
    trigger = OneOf(Trigger)
    status = OneOf(Status)
    reason = OneOf(Reason, allow_none=True)
    scheduled_for = Instant()
    started_at = Instant(allow_none=True)
    finished_at = Instant(allow_none=True)
    attempt = fields.Integer()
    http_status = fields.Integer(allow_none=True)
    error = fields.String(allow_none=True)
    missed_count = fields.Integer(allow_none=True)
    missed_until = Instant(allow_none=True)


class Why(ValueAnswer):
    """Why a job did or did not run at an instant."""

    job_id = fields.UUID()
    at = Instant()
    verdict = OneOf(Verdict, metadata={"description": "The answer, for programs"})
    explanation = fields.String(metadata={"description": "The answer, in plain words"})
    execution = fields.Nested(RecordAnswer, allow_none=True)
    previous = Instant(
        allow_none=True,
        metadata={"description": "The schedule's last instant before the one asked for"},
    )
    following = Instant(allow_none=True, metadata={"description": "The first one after it"})
