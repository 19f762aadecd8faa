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

    id = fields.UUID(required=True)
    trigger = OneOf(Trigger, required=True)
    status = OneOf(Status, required=True)
    reason = OneOf(Reason, required=True, allow_none=True)
    scheduled_for = Instant(required=True)
    started_at = Instant(required=True, allow_none=True)
    finished_at = Instant(required=True, allow_none=True)
    attempt = fields.Integer(required=True)
    http_status = fields.Integer(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)
    missed_count = fields.Integer(required=True, allow_none=True)
    missed_until = Instant(required=True, allow_none=True)


class Why(ValueAnswer):
    """Why a job did or did not run at an instant."""

    job_id = fields.UUID(required=True)
    at = Instant(required=True)
    verdict = OneOf(Verdict, required=True, metadata={"description": "The answer, for programs"})
    explanation = fields.String(
        required=True, metadata={"description": "The answer, in plain words"}
    )
    execution = fields.Nested(RecordAnswer, required=True, allow_none=True)
    previous = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "The schedule's last instant before the one asked for"},
    )
    following = Instant(
        required=True, allow_none=True, metadata={"description": "The first one after it"}
    )
