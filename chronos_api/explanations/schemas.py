"""Why an instant ran or did not."""

from marshmallow import fields

from chronos_api.explanations.service import Verdict
from chronos_api.explanations.spans import MAX_ITEMS, MAX_SPAN, Prospect
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


class InstantsQuery(Strict):
    """The span that is asked for."""

    since = Instant(
        required=True,
        metadata={"description": "Its beginning", "examples": ["2026-11-21T00:00:00Z"]},
    )
    until = Instant(
        required=True,
        metadata={
            "description": f"Its end, which is not a part of it. At most {MAX_SPAN.days} days",
            "examples": ["2026-11-22T00:00:00Z"],
        },
    )


class InstantAnswer(ValueAnswer):
    """An instant of a job, with its record or its prospect."""

    at = Instant()
    state = OneOf(
        Prospect,
        metadata={
            "description": "recorded has an execution. missed is one of those that execution "
            "stands for. unrecorded has passed without a record, see /why. paused is to come "
            "during a pause, and does not run"
        },
    )
    execution = fields.Nested(RecordAnswer, allow_none=True)


class Instants(ValueAnswer):
    """The instants of a job in a span of time, in order."""

    job_id = fields.UUID()
    since = Instant()
    until = Instant()
    items = fields.List(
        fields.Nested(InstantAnswer), metadata={"description": f"Up to {MAX_ITEMS}"}
    )
    next_since = Instant(
        allow_none=True, metadata={"description": "Ask again from this instant on. null: all"}
    )
